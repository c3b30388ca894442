"""Models to and from their checkpoint files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from hqdm.kit.tensor_file import Checkpoint, load_checkpoint, module_of, save_checkpoint
from hqdm.learn.diffusion.autoencoder import make_autoencoder
from hqdm.learn.diffusion.folder import PICTURES, load_autoencoder_folder
from hqdm.learn.diffusion.presets import AutoencoderPreset, UNetPreset
from hqdm.learn.diffusion.unet import ClassConditionalUNet, make_unet
from hqdm.spec.plain import from_plain

DECODER_ONLY = ("decoder.", "post_quant_conv.")


def _half(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: t.half() if t.is_floating_point() else t for n, t in tensors.items()}


def save_unet(
    path: Path, preset: UNetPreset, tensors: dict[str, Tensor], training: dict[str, Any],
) -> str:
    """Write the UNet in half precision; returns the digest."""
    return save_checkpoint(path, Checkpoint(
        kind="unet", architecture=preset.to_dict(), tensors=_half(tensors), training=training))


def load_unet(path: Path) -> ClassConditionalUNet:
    """The UNet of `path` in float32, ready for evaluation.

    Raises
    ------
    FileNotFoundError, ValueError: as `load_checkpoint`.
    """
    return unet_of(path, load_checkpoint(path, "unet"))


def unet_of(path: Path, checkpoint: Checkpoint) -> ClassConditionalUNet:
    """As `load_unet`, of a checkpoint that has been read from `path`."""
    preset = from_plain(UNetPreset, checkpoint.architecture, f"{path}: another architecture: ")
    return module_of(lambda: make_unet(preset), checkpoint.tensors, str(path)).eval()


def save_autoencoder(
    path: Path, preset: AutoencoderPreset, tensors: dict[str, Tensor], scaling_factor: float,
    training: dict[str, Any], *, decoder_only: bool = False,
) -> str:
    """Write the autoencoder, or its decoder alone, in half precision; returns the digest."""
    kept = {n: t for n, t in tensors.items()
            if not decoder_only or n.startswith(DECODER_ONLY)}
    return save_checkpoint(path, Checkpoint(
        kind="autoencoder", tensors=_half(kept), training=training,
        architecture=preset.to_dict() | {"scaling_factor": scaling_factor,
                                         "decoder_only": decoder_only}))


def load_autoencoder(path: Path) -> AutoencoderKL:
    """The autoencoder of `path` in float32; a decoder-only file gives one that cannot encode.

    Raises
    ------
    FileNotFoundError, ValueError: as `load_checkpoint`.
    """
    return autoencoder_of(path, load_checkpoint(path, "autoencoder"))


def autoencoder_of(path: Path, checkpoint: Checkpoint) -> AutoencoderKL:
    """As `load_autoencoder`, of a checkpoint that has been read from `path`."""
    where = f"{path}: another architecture: "
    fields = dict(checkpoint.architecture)
    scale = from_plain(_Scale, {n: fields.pop(n) for n in ("scaling_factor", "decoder_only")
                                if n in fields}, where)
    preset = from_plain(AutoencoderPreset, fields, where)

    def make() -> AutoencoderKL:
        model = make_autoencoder(preset)
        if scale.decoder_only:
            del model.encoder, model.quant_conv
        return model

    model = module_of(make, checkpoint.tensors, str(path))
    model.register_to_config(scaling_factor=scale.scaling_factor)
    return model.eval().requires_grad_(False)


@dataclass(frozen=True, kw_only=True)
class _Scale:
    """What the header of an autoencoder holds beside its preset."""

    scaling_factor: float
    decoder_only: bool

    def __post_init__(self) -> None:
        if self.scaling_factor <= 0:
            raise ValueError(f"scaling_factor: wanted more than 0, got {self.scaling_factor}")


def load_decoder(path: Path | None, channels: int) -> tuple[Any | None, str]:
    """(what `decode` takes for latents of so many channels, 16 digits that tell it apart).

    Parameters
    ----------
    path: a file of `hqdm train autoencoder`, a folder of a diffusers autoencoder or of a pipeline
        with one, or None where the latents are pictures.

    Raises
    ------
    FileNotFoundError, ValueError: none of these, or a decoder of other latents.
    """
    if path is None:
        if channels not in PICTURES:
            raise FileNotFoundError(
                f"--decoder: wanted decoder.safetensors beside the model or in ../autoencoder, or "
                f"another file or folder, found none; latents of {channels} channels are no "
                f"pictures")
        return None, "pictures"
    if path.is_dir():
        model = load_autoencoder_folder(path)
        digest = fingerprint(model)
    else:
        read = load_checkpoint(path, "autoencoder")
        model, digest = autoencoder_of(path, read), read.digest[:16]
    if model.config.latent_channels != channels:
        raise ValueError(f"{path}: wanted a decoder of {channels} channels, as the latents have, "
                         f"got one of {model.config.latent_channels}; --decoder names another")
    return model, digest


def fingerprint(module: torch.nn.Module) -> str:
    """16 hexadecimal digits that tell the weights of `module` apart."""
    return Checkpoint(kind="", architecture={}, tensors=module.state_dict(),
                      training={}).digest[:16]
