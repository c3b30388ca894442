"""Guided DDIM sampling of latents, the same on every run for the same seed."""

from collections.abc import Callable, Sequence
from dataclasses import asdict

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from hqdm.learn.diffusion.noise_schedule import NoiseSchedule
from hqdm.learn.diffusion.unet import ClassConditionalUNet

Noise = Callable[[Tensor, Tensor, Tensor], Tensor]
TRAINED = NoiseSchedule()       # the schedule of `hqdm train unet`
TRAIN_STEPS = TRAINED.num_train_timesteps


def make_scheduler(schedule: NoiseSchedule = TRAINED) -> DDIMScheduler:
    """DDIM, eta 0, along `schedule`."""
    return DDIMScheduler(**asdict(schedule))


def timesteps_of(scheduler: DDIMScheduler, steps: int) -> tuple[int, ...]:
    """The timesteps of `steps` steps, in order; the scheduler takes them from here on.

    Raises
    ------
    ValueError: steps out of 1..num_train_timesteps, or whose offset leaves that range.
    """
    most = scheduler.config.num_train_timesteps
    if not 1 <= steps <= most:
        raise ValueError(f"steps: wanted 1..{most}, got {steps}")
    scheduler.set_timesteps(steps)
    timesteps = tuple(scheduler.timesteps.tolist())
    if not 0 <= min(timesteps) <= max(timesteps) < most:
        raise ValueError(f"steps: wanted timesteps in 0..{most - 1}, got {max(timesteps)} with "
                         f"{steps} steps and an offset of {scheduler.config.steps_offset}")
    return timesteps


def initial_noise(
    count: int, shape: Sequence[int], seed: int, device: torch.device | str = "cpu",
) -> Tensor:
    """(count, *shape) standard normal; image i depends on `seed` and i alone."""
    rows = [torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed * 1_000_003 + i))
            for i in range(count)]
    return torch.stack(rows).to(device)


def guided(predict: Noise, null_class: int, guidance: float) -> Noise:
    """Classifier-free guidance: eps(null) + guidance * (eps(class) - eps(null)).

    Guidance 1 calls `predict` on the class alone.
    """
    if guidance == 1:
        return predict

    def noise(latents: Tensor, timesteps: Tensor, labels: Tensor) -> Tensor:
        both = torch.cat([torch.full_like(labels, null_class), labels])
        free, conditional = predict(torch.cat([latents] * 2), timesteps, both).chunk(2)
        return free + guidance * (conditional - free)

    return noise


@torch.no_grad()
def run_ddim(
    noise: Noise, latents: Tensor, labels: Tensor, steps: int,
    watch: Callable[[int, int, Tensor], None] | None = None, schedule: NoiseSchedule = TRAINED,
) -> Tensor:
    """Denoise `latents` (B, L, H, W) of unit noise with `steps` steps of DDIM, eta 0.

    `watch(index, timestep, latents)` is called before each step.

    Raises
    ------
    ValueError: as `timesteps_of`.
    """
    scheduler = make_scheduler(schedule)
    for index, timestep in enumerate(timesteps_of(scheduler, steps)):
        if watch is not None:
            watch(index, timestep, latents)
        at = torch.tensor(timestep, device=latents.device)
        eps = noise(latents, at, labels).float()
        latents = scheduler.step(eps, timestep, latents, return_dict=False)[0]
    return latents


@torch.no_grad()
def sample_latents(
    model: ClassConditionalUNet, labels: Tensor, *, steps: int = 20, guidance: float = 2.0,
    seed: int = 0, batch: int = 256,
) -> Tensor:
    """Latents float32 (N, L, H, W) of `labels` int64 (N,), on the device of `labels`.

    Raises
    ------
    ValueError: labels out of range, steps as `timesteps_of`.
    """
    preset = model.preset
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) <= preset.classes:
        raise ValueError(f"labels: wanted 0..{preset.classes}, got {int(labels.min())}.."
                         f"{int(labels.max())}")
    start = initial_noise(
        len(labels), (preset.latent_channels, preset.latent_size, preset.latent_size), seed,
        labels.device)
    noise = guided(model, model.null_class, guidance)
    return torch.cat([run_ddim(noise, x, y, steps)
                      for x, y in zip(start.split(batch), labels.split(batch), strict=True)])
