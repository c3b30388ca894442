"""The teacher's own sampling trajectories: the only data distillation sees.

One buffer is recorded per teacher and shared by every method, so that all have the same data.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from hqdm.kit.tensor_file import Checkpoint, load_checkpoint, save_checkpoint
from hqdm.learn.diffusion.noise_schedule import NoiseSchedule, schedule_of
from hqdm.learn.diffusion.sampler import timesteps_of

STEPS = 100             # of the trajectory the student is trained on
KIND = "trajectories"


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
        channels = tuple(config.get(name, self.shape[0]) for name in ("in_channels", "out_channels"))
        if channels != (self.shape[0],) * 2:
            raise ValueError(f"teacher: wanted a UNet of {self.shape[0]} channels in and out, as the "
                             f"latent has, got {channels[0]} in and {channels[1]} out; "
                             f"hqdm.learn.diffusion.folder.noise_only cuts a learned variance off")
        if self.guidance != 1 and not self.null_class:
            raise ValueError(f"guidance: wanted 1, as the UNet has no classes, got {self.guidance}")

    def _check_tokens(self) -> None:
        widths = {m.cross_attention_dim for m in self.unet.modules()
                  if isinstance(m, Attention) and m.is_cross_attention}
        got = None if self.tokens is None else tuple(self.tokens.shape)
        if self.tokens is None and widths:
            raise ValueError(f"tokens: wanted (classes + 1, {max(widths)}) for the cross-attention, "
                             f"one token per class and last that of no class, got none")
        if got is not None and (len(got) != 2 or {got[1]} != widths or got[0] < 1):
            raise ValueError(f"tokens: wanted (classes + 1, D), one token per class and D in "
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


@dataclass(frozen=True)
class Trajectories:
    """What the teacher saw and said.

    Members
    -------
    latents: float16 (N, T, C, H, W), in order of sampling; the teacher saw these exact values.
    noise: float16 (N, T, halves, C, H, W), its predictions for the class, then the null class.
    labels: int64 (N,).
    schedule: the T timesteps.
    """

    latents: Tensor
    noise: Tensor
    labels: Tensor
    schedule: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice) -> "Trajectories":
        return Trajectories(self.latents[part], self.noise[part], self.labels[part],
                            self.schedule)

    def to(self, device: torch.device | str) -> "Trajectories":
        """The same with latents and noise on `device`; labels stay on the CPU."""
        return Trajectories(self.latents.to(device), self.noise.to(device), self.labels,
                            self.schedule)

    def save(self, path: Path, source: Mapping[str, Any]) -> None:
        """Write atomically; `source` tells the teacher, seed and size it was recorded from."""
        save_checkpoint(path, Checkpoint(
            kind=KIND, architecture=dict(source), training={"schedule": list(self.schedule)},
            tensors={"latents": self.latents, "noise": self.noise, "labels": self.labels}))

    @staticmethod
    def load(path: Path, source: Mapping[str, Any]) -> "Trajectories":
        """Read what `save` wrote.

        Raises
        ------
        FileNotFoundError, ValueError: no file, a damaged one, or one of another source.
        """
        read = load_checkpoint(path, KIND, source)
        return Trajectories(**read.tensors, schedule=tuple(read.training["schedule"]))


@torch.no_grad()
def record(teacher: Teacher, count: int, *, steps: int = STEPS, batch: int = 64, seed: int = 0,
           device: torch.device | str = "cpu",
           watch: Callable[[int, int], None] | None = None) -> Trajectories:
    """Sample `count` latents of random classes with the teacher and keep every step.

    Parameters
    ----------
    batch: samples at a time; it does not change which noise and class a sample gets.
    watch: called with (steps done, steps in all).
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(max(1, teacher.classes), (count,), generator=generator)
    start = torch.randn(count, *teacher.shape, generator=generator)
    schedule = teacher.schedule(steps)
    parts = []
    for done in range(0, count, batch):
        part = slice(done, done + batch)
        tick = None if watch is None else _ticks(watch, done // batch, -(-count // batch), steps)
        parts.append(_walk(teacher, start[part].to(device), labels[part], schedule, tick))
    latents, noise = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return Trajectories(latents, noise, labels, schedule)


def _ticks(watch: Callable[[int, int], None], part: int, parts: int, steps: int
           ) -> Callable[[int], None]:
    return lambda step: watch(part * steps + step + 1, parts * steps)


def _walk(teacher: Teacher, x: Tensor, labels: Tensor, schedule: Sequence[int],
          tick: Callable[[int], None] | None) -> tuple[Tensor, Tensor]:
    context = contexts(teacher, labels, x.device)
    latents, noise = [], []
    for index, t in enumerate(schedule):
        x = x.half().float()        # what is stored is what the teacher sees
        eps = predict(teacher.unet, x.repeat(teacher.halves, 1, 1, 1), t, context)
        both = eps.unflatten(0, (teacher.halves, -1)).transpose(0, 1)    # (B, halves, ..)
        latents.append(x.half().cpu())
        noise.append(both.half().cpu())
        guided = both[:, 0]
        if teacher.halves == 2:
            guided = both[:, 1] + teacher.guidance * (both[:, 0] - both[:, 1])
        x = teacher.scheduler.step(guided, t, x, return_dict=False)[0]
        if tick is not None:
            tick(index)
    return torch.stack(latents, 1), torch.stack(noise, 1)
