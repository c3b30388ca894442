"""Guided DDIM sampling of latents, the same on every run for the same seed."""

from collections.abc import Callable, Sequence

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from hqdm.learn.diffusion.unet import ClassConditionalUNet

TRAIN_STEPS = 1000
Noise = Callable[[Tensor, Tensor, Tensor], Tensor]


def make_scheduler() -> DDIMScheduler:
    """The noise schedule of latent-diffusion's class-conditional ImageNet model.

    beta = linspace(sqrt(0.0015), sqrt(0.0195), 1000)^2; sampling steps are 1 + i * 1000/steps.
    """
    return DDIMScheduler(
        num_train_timesteps=TRAIN_STEPS, beta_schedule="scaled_linear", beta_start=0.0015,
        beta_end=0.0195, clip_sample=False, set_alpha_to_one=False, steps_offset=1,
        prediction_type="epsilon", timestep_spacing="leading")


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
    watch: Callable[[int, int, Tensor], None] | None = None,
) -> Tensor:
    """Denoise `latents` (B, L, H, W) of unit noise with `steps` steps of DDIM, eta 0.

    `watch(index, timestep, latents)` is called before each step.

    Raises
    ------
    ValueError: steps out of 1..1000.
    """
    if not 1 <= steps <= TRAIN_STEPS:
        raise ValueError(f"steps: wanted 1..{TRAIN_STEPS}, got {steps}")
    scheduler = make_scheduler()
    scheduler.set_timesteps(steps)
    for index, timestep in enumerate(scheduler.timesteps.tolist()):
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
    ValueError: labels out of range, steps out of 1..1000.
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
