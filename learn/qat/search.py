"""Initial steps: the least squared error over a grid of clipping points."""

from typing import Any

import torch
from torch import Tensor

from hqdm.spec.fixed import symmetric_max

SAMPLES = 4096          # values looked at per tensor: the error of a step settles well before
FRACTIONS = 32          # clipping points tried, as fractions of the largest magnitude
SMALLEST = 0.05
MARGIN = 1.5            # of the widest step: a latent may be so much larger than those seen


def _fractions(device: torch.device) -> Tensor:
    return torch.linspace(1, SMALLEST, FRACTIONS, device=device)


def _sample(r: Tensor) -> Tensor:
    """At most SAMPLES values, evenly strided; the stride is odd, so it meets every column."""
    flat = r.detach().flatten().float()
    stride = max(1, flat.numel() // SAMPLES) | 1
    return flat[::stride]


def search_symmetric(r: Tensor, limit: int) -> Tensor:
    """Step () of least squared error of clamp(round(r / step), -limit, limit) * step.

    A tensor of zeros gets 1.
    """
    values, largest = _sample(r), r.detach().abs().amax().float()
    largest = torch.where(largest > 0, largest, limit)
    steps = _fractions(values.device) * largest / limit         # (G,)
    return steps[_errors(values, steps, -limit, limit).argmin()]


def widest_step(r: Tensor, limit: int) -> Tensor:
    """Step () at which values MARGIN times the largest of `r` are not clipped; of zeros 1."""
    largest = r.detach().abs().amax().float() * MARGIN
    return torch.where(largest > 0, largest, limit) / limit


def quantisation_error(r: Tensor, bits: int, asymmetric: bool = False) -> Tensor:
    """Squared error over squared magnitude at the best step (and zero point), ()."""
    values, limit = _sample(r), symmetric_max(bits)
    low: Tensor | int = -limit
    high: Tensor | int = limit
    if asymmetric:
        levels = (1 << bits) - 1
        step, zero = search_asymmetric(r, levels)
        low, high = -zero, levels - zero
    else:
        step = search_symmetric(r, limit)
    energy = values.square().sum().clamp_min(torch.finfo(values.dtype).tiny)
    return _errors(values, step[None], low, high)[0] / energy


def _errors(values: Tensor, steps: Tensor, low: Any, high: Any) -> Tensor:
    """Squared error of each step: (n,), (G,) -> (G,); the bounds are numbers or (G, 1)."""
    wide = steps[:, None]
    q = (values / wide).round_()
    return q.clamp_(low, high).mul_(wide).sub_(values).square_().sum(1)


def search_rows(rows: Tensor, largest: Tensor, limit: int) -> Tensor:
    """The same for each row, whole, given its largest magnitude: (N, n), (N,) -> (N,)."""
    largest = torch.where(largest > 0, largest, limit).float()
    best = torch.full_like(largest, torch.inf)
    steps = largest / limit
    for fraction in _fractions(rows.device):
        step = (fraction * largest / limit)[:, None]
        error = ((rows / step).round_().clamp_(-limit, limit).mul_(step) - rows).square().sum(1)
        steps = torch.where(error < best, step[:, 0], steps)
        best = torch.minimum(error, best)
    return steps


def search_asymmetric(r: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """Step () and integer zero point () of least squared error with codes 0..levels."""
    values = _sample(r)
    low, high = values.amin().clamp(max=0), values.amax().clamp(min=0)
    if bool(high == low):
        return torch.ones_like(low), torch.zeros_like(low)
    fractions = _fractions(values.device)
    steps = fractions * (high - low) / levels                   # (G,)
    around_zero = (-low / (high - low) * levels).round().expand_as(steps)
    around_mean = (levels / 2 - values.mean() / steps).round().clamp(0, levels)
    steps, zeros = steps.repeat(2), torch.cat((around_zero, around_mean))
    errors = _errors(values, steps, -zeros[:, None], levels - zeros[:, None])
    best = errors.argmin()
    return steps[best], zeros[best]
