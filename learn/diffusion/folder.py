"""Models that diffusers saved with `save_pretrained`: a UNet's folder, or a pipeline's with one.

Nothing is downloaded, and only safetensors are read.
"""

import json
import re
from pathlib import Path
from typing import Any

import diffusers
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from hqdm.learn.diffusion.noise_schedule import NoiseSchedule, schedule_of
from hqdm.learn.diffusion.presets import UNET_CLASSES

PICTURES = (1, 3)       # channels of a latent that may be a picture itself: grey, or colours
WEIGHTS = re.compile(r"diffusion_pytorch_model(?:\.(\w+))?(?:-\d+-of-\d+)?\.safetensors")
TOKENS = "tokens.safetensors"       # of the classes, in a folder that we read
SCHEDULER = "scheduler_config.json"
AUTOENCODERS = ("AutoencoderKL", "VQModel")


def find_part(folder: Path, part: str) -> Path:
    """`folder` if it holds a model's config.json, or else the folder `part` within it.

    Raises
    ------
    FileNotFoundError: neither; a file or a name is no folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: wanted a folder that diffusers wrote with "
                                f"save_pretrained, found none; nothing is downloaded")
    for path in (folder, folder / part):
        if (path / "config.json").is_file():
            return path
    raise FileNotFoundError(f"{folder}: wanted config.json in it or in its folder {part}, found "
                            f"none")


def load_unet_folder(folder: Path) -> Any:
    """The UNet of a folder in float32, ready for evaluation, its noise alone (`noise_only`).

    Raises
    ------
    FileNotFoundError, ValueError: no such folder, weights that are missing, do not fit, or are not
        safetensors; another model.
    """
    model = _load(find_part(folder, "unet"), UNET_CLASSES)
    return noise_only(model).requires_grad_(False)


def load_autoencoder_folder(folder: Path) -> Any:
    """The autoencoder of a folder, or of a pipeline's folder; as `load_unet_folder`."""
    part = "vqvae" if (folder / "vqvae" / "config.json").is_file() else "vae"
    return _load(find_part(folder, part), AUTOENCODERS).requires_grad_(False)


def _load(path: Path, kinds: tuple[str, ...]) -> Any:
    kind = _json(path / "config.json").get("_class_name")
    if kind not in kinds:
        raise ValueError(f"{path / 'config.json'}: wanted a _class_name of {' or '.join(kinds)}, "
                         f"got {kind!r}")
    model, found = getattr(diffusers, kind).from_pretrained(
        str(path), local_files_only=True, use_safetensors=True, variant=_variant(path),
        low_cpu_mem_usage=False, torch_dtype=torch.float32, output_loading_info=True)
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if found[what]:
            raise ValueError(f"{path}: wanted the tensors that config.json describes, got "
                             f"{what.replace('_', ' ')}: {found[what][0]}")
    return model.eval()


def _variant(path: Path) -> str | None:
    """The ending of the weights' name before .safetensors, as "fp16"; None where there is none.

    Raises
    ------
    FileNotFoundError: no weights, or pickled ones.
    """
    found = {match[1] for p in path.iterdir() if (match := WEIGHTS.fullmatch(p.name))}
    if not found:
        pickled = sorted(p.name for p in path.glob("*.bin"))
        also = (f"; {pickled[0]} is a pickle, which is not read: load it with diffusers and "
                f"save_pretrained again") if pickled else ""
        raise FileNotFoundError(f"{path}: wanted diffusion_pytorch_model.safetensors, found none"
                                f"{also}")
    return None if None in found else min(found)


def _json(path: Path) -> dict[str, Any]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: wanted JSON, got {error}") from error
    if not isinstance(plain, dict):
        raise ValueError(f"{path}: wanted an object, got {type(plain).__name__}")
    return plain


def noise_only(unet: Any) -> Any:
    """The UNet with the channels of its output that are noise: a learned variance is cut off.

    DDIM does not use the variance, whose channels follow those of the noise. Changed in place.

    Raises
    ------
    ValueError: neither as many channels out as in, nor twice as many.
    """
    channels, outputs = unet.config.in_channels, unet.config.out_channels
    if outputs == channels:
        return unet
    if outputs != 2 * channels:
        raise ValueError(f"out_channels: wanted {channels} as in_channels, or {2 * channels} with "
                         f"a learned variance, got {outputs}; a UNet that also sees a mask or "
                         f"another picture in its input is not sampled")
    old = unet.conv_out
    with torch.device(old.weight.device):
        unet.conv_out = nn.Conv2d(old.in_channels, channels, old.kernel_size, padding=old.padding)
    unet.conv_out.weight.data = old.weight.data[:channels].clone()
    unet.conv_out.bias.data = old.bias.data[:channels].clone()
    unet.register_to_config(out_channels=channels)
    return unet


def find_schedule(folder: Path, channels: int) -> tuple[NoiseSchedule, Path | None]:
    """The noise schedule of a folder and the file it is from.

    Without one it is the default of diffusers' DDPMScheduler (beta 0.0001 to 0.02, linear), which
    clips where the latent is a picture, and the file is None.

    Raises
    ------
    ValueError: a scheduler that is not sampled with.
    """
    unet = find_part(folder, "unet")
    for path in (unet, folder, folder / "scheduler", unet.parent / "scheduler"):
        if (path / SCHEDULER).is_file():
            try:
                return schedule_of(_json(path / SCHEDULER)), path / SCHEDULER
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path / SCHEDULER}: {error}") from error
    return NoiseSchedule(beta_start=0.0001, beta_end=0.02, beta_schedule="linear", steps_offset=0,
                         clip_sample=channels in PICTURES, set_alpha_to_one=True), None


def load_tokens(path: Path) -> Tensor:
    """The class tokens of a safetensors file that holds them alone: float32 (classes + 1, D).

    Raises
    ------
    FileNotFoundError, ValueError: no file, or another one.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file of class tokens")
    try:
        tensors = list(load_file(path).values())
    except Exception as error:
        raise ValueError(f"{path}: wanted a safetensors file, got {error}") from error
    shapes = [tuple(t.shape) for t in tensors]
    if len(tensors) != 1 or tensors[0].dim() != 2 or not tensors[0].is_floating_point() or not bool(
            tensors[0].isfinite().all()):
        raise ValueError(f"{path}: wanted one finite float tensor (classes + 1, D), one token per "
                         f"class and last that of no class, got shapes {shapes}")
    return tensors[0].float()
