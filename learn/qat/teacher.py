"""The teacher: a float UNet of diffusers, what it is conditioned on, and how it is sampled."""

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from hqdm.learn.diffusion.folder import TOKENS, find_schedule, load_tokens, load_unet_folder
from hqdm.learn.diffusion.noise_schedule import NoiseSchedule, schedule_of
from hqdm.learn.diffusion.sampler import make_scheduler, timesteps_of


@dataclass(frozen=True)
class Teacher:
    """A float UNet, what it is conditioned on, and how it is sampled.

    Parameters
    ----------
    unet: diffusers UNet2DConditionModel or UNet2DModel, in evaluation mode.
    scheduler: DDIM with the noise schedule it was trained on.
    shape: of a latent, (C, H, W).
    tokens: float (classes + 1, D) on the CPU, one token per class and last the null class; None
        for an unconditional model, or one with embeddings of its own (`num_class_embeds`).
    guidance: of classifier-free guidance, 1 for none. Of a model with embeddings of its own the
        last is the null class where it is not 1.

    Raises
    ------
    TypeError: another scheduler than DDIM.
    ValueError: a noise schedule that is not sampled with, a model that does not go from latents to
        latents, or guidance of a model without classes.
    """

    unet: nn.Module
    scheduler: DDIMScheduler
    shape: tuple[int, int, int]
    tokens: Tensor | None = None
    guidance: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.scheduler, DDIMScheduler):
            raise TypeError(f"teacher: wanted a DDIMScheduler, got a "
                            f"{type(self.scheduler).__name__}; DDIMScheduler.from_config makes one")
        if self.noise_schedule.timestep_spacing != self.scheduler.config.timestep_spacing:
            raise ValueError(f"timestep_spacing: wanted leading or trailing, got "
                             f"{self.scheduler.config.timestep_spacing}")
        self._check_tokens()
        config = getattr(self.unet, "config", {})
        wanted = self.shape[0]
        got = tuple(config.get(name, wanted) for name in ("in_channels", "out_channels"))
        if got != (wanted, wanted):
            raise ValueError(f"teacher: wanted a UNet of {wanted} channels in and out, as the "
                             f"latent has, got {got[0]} in and {got[1]} out; "
                             f"hqdm.learn.diffusion.folder.noise_only cuts a learned variance off")
        if self.guidance != 1 and not self.null_class:
            raise ValueError(f"guidance: wanted 1, as the UNet has no classes, got {self.guidance}")

    def _check_tokens(self) -> None:
        widths = {m.cross_attention_dim for m in self.unet.modules()
                  if isinstance(m, Attention) and m.is_cross_attention}
        got = None if self.tokens is None else tuple(self.tokens.shape)
        if self.tokens is None and widths:
            raise ValueError(f"--tokens: wanted (classes + 1, {max(widths)}) for the "
                             f"cross-attention, one token per class and last that of no class, got "
                             f"none; prompts of several tokens are not sampled")
        if got is not None and (len(got) != 2 or {got[1]} != widths or got[0] < 1):
            raise ValueError(f"--tokens: wanted (classes + 1, D), one token per class and D in "
                             f"{sorted(widths)} for the cross-attention, got shape {got}")

    @property
    def noise_schedule(self) -> NoiseSchedule:
        """What the scheduler was configured with."""
        return schedule_of({"_class_name": "DDIMScheduler"} | dict(self.scheduler.config))

    @property
    def embeddings(self) -> int:
        """Classes the model has embeddings of its own for, 0 for none; used without tokens."""
        config = getattr(self.unet, "config", {})
        return (config.get("num_class_embeds") or 0) if self.tokens is None else 0

    @property
    def null_class(self) -> bool:
        """Whether one of the tokens or embeddings, the last, is no class."""
        if self.tokens is None:
            return self.embeddings > 1 and self.guidance != 1
        return len(self.tokens) > 1

    @property
    def classes(self) -> int:
        """Number of classes, 0 for an unconditional model."""
        rows = self.embeddings if self.tokens is None else len(self.tokens)
        return rows - self.null_class if rows > 1 else 0

    @property
    def halves(self) -> int:
        """Predictions per latent: 2 (class, null class) where the sampler is guided, else 1."""
        return 2 if self.null_class and self.guidance != 1 else 1

    def schedule(self, steps: int) -> tuple[int, ...]:
        """The sampler's timesteps, in order; ValueError as `timesteps_of`."""
        return timesteps_of(self.scheduler, steps)

    def context(self, rows: Tensor, device: torch.device | str) -> Tensor | None:
        """What `predict` takes for the classes `rows` int64 (B,), the null class among them."""
        return context_of(self.tokens, self.embeddings, rows, device)


def context_of(tokens: Tensor | None, embeddings: int, rows: Tensor, device: torch.device | str,
               ) -> Tensor | None:
    """The tokens (B, 1, D) of `rows`, the rows themselves of a model with embeddings of its own,
    None of an unconditional one."""
    if tokens is not None:
        return tokens[rows.to(tokens.device)][:, None].to(device)
    return rows.to(device) if embeddings else None


def contexts(teacher: Teacher, labels: Tensor, device: torch.device) -> Tensor | None:
    """The context of the classes, then (if guided) of the null class."""
    null = torch.full_like(labels, teacher.classes)
    return teacher.context(torch.cat((labels, null)) if teacher.halves == 2 else labels, device)


def predict(unet: nn.Module, latents: Tensor, timesteps: Tensor | int,
            context: Tensor | None) -> Tensor:
    """The noise prediction of a diffusers UNet.

    Parameters
    ----------
    context: float (B, 1, D), tokens of cross-attention; int64 (B,), classes of a model with
        embeddings of its own; None without a condition.
    """
    conditioning: dict[str, Tensor | None] = {}
    if isinstance(unet, UNet2DConditionModel):      # it wants the argument, whatever it is
        conditioning["encoder_hidden_states"] = None
    if context is not None:
        tokens = context.is_floating_point()
        conditioning["encoder_hidden_states" if tokens else "class_labels"] = context
    return unet(latents, timesteps, return_dict=False, **conditioning)[0]


def folder_teacher(folder: Path, tokens: Path | None = None, size: tuple[int, int] | None = None,
                   guidance: float | None = None) -> Teacher:
    """The Teacher in a folder that diffusers saved (`hqdm.learn.diffusion.folder`).

    Parameters
    ----------
    tokens: file of the class tokens, by default tokens.safetensors in the folder, if it is there.
    size: height and width of the latent, by default the UNet's sample_size.
    guidance: by default 2 with tokens, else 1.

    Raises
    ------
    FileNotFoundError, ValueError: as `load_unet_folder`, `find_schedule`, `load_tokens`, `Teacher`.
    """
    unet = load_unet_folder(folder)
    size = size or unet.config.sample_size
    if size is None:
        raise ValueError(f"{folder}: wanted --size HEIGHT WIDTH of the latent, as config.json has "
                         f"no sample_size")
    height, width = (size, size) if isinstance(size, int) else size
    channels = unet.config.in_channels
    if tokens is None and (folder / TOKENS).is_file():
        tokens = folder / TOKENS
    rows = None if tokens is None else load_tokens(tokens)
    if guidance is None:
        guidance = 1.0 if rows is None or len(rows) == 1 else 2.0
    return Teacher(unet, make_scheduler(find_schedule(folder, channels)[0]),
                   (channels, height, width), rows, guidance)
