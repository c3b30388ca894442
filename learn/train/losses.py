"""Losses of the two trainings."""

import torch
import torch.nn.functional as F
from torch import Tensor


def gradient_loss(output: Tensor, target: Tensor, scales: int = 3) -> Tensor:
    """Mean absolute difference of horizontal and vertical differences, over halved scales.

    A stand-in for a perceptual loss that needs no network: blur costs more than it does in L1.
    (B, C, H, W) each; the mean over the scales.
    """
    total = output.new_zeros(())
    for _ in range(scales):
        error = output - target
        total = total + error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        output, target = F.avg_pool2d(output, 2), F.avg_pool2d(target, 2)
    return total / scales


def snr_weights(alphas_cumprod: Tensor, limit: float = 5.0) -> Tensor:
    """Weight of each timestep's squared error of the noise: min(snr, limit) / snr.

    snr = a / (1 - a). The steps of little noise, easy and many, weigh less ("Min-SNR").
    """
    snr = alphas_cumprod / (1 - alphas_cumprod)
    return snr.clamp(max=limit) / snr


def stratified_timesteps(batch: int, steps: int, generator: torch.Generator) -> Tensor:
    """int64 (batch,) of 0..steps-1, ascending, one at random in each `batch`-th of the range."""
    jitter = torch.rand(batch, generator=generator, device=generator.device)
    at = (torch.arange(batch, device=generator.device) + jitter) * (steps / batch)
    return at.long().clamp(max=steps - 1)
