"""Initial steps: the least squared error over a grid of clipping points."""

import torch
from torch import Tensor

SAMPLES = 8192          # values looked at per tensor: the error of a step settles well before
FRACTIONS = 40          # clipping points tried, as fractions of the largest magnitude
SMALLEST = 0.05


def _fractions(device: torch.device) -> Tensor:
    return torch.linspace(SMALLEST, 1, FRACTIONS, device=device)


def _sample(r: Tensor) -> Tensor:
    """At most SAMPLES values, evenly strided; the stride is odd, so it meets every column."""
    flat = r.detach().flatten().float()
    stride = max(1, flat.numel() // SAMPLES) | 1
    return flat[::stride]


def search_symmetric(r: Tensor, limit: int) -> Tensor:
    """Step () of least squared error of clamp(round(r / step), -limit, limit) * step.

    A tensor of zeros gets 1.
    """
    return search_rows(_sample(r)[None], r.detach().abs().max()[None], limit)[0]


def search_rows(rows: Tensor, largest: Tensor, limit: int) -> Tensor:
    """The same for each row: (N, n), (N,) -> (N,)."""
    largest = torch.where(largest > 0, largest, torch.full_like(largest, limit)).float()
    best = torch.full_like(largest, torch.inf)
    steps = largest / limit
    for fraction in _fractions(rows.device):
        step = (fraction * largest / limit)[:, None]
        error = ((rows / step).round_().clamp_(-limit, limit).mul_(step) - rows).square().sum(1)
        steps = torch.where(error < best, step[:, 0], steps)
        best = torch.minimum(error, best)
    return steps


def search_percentile(r: Tensor, limit: int, percentile: float) -> Tensor:
    """Step () whose largest level is the `percentile` (0..100) of the magnitudes."""
    point = torch.quantile(_sample(r).abs(), percentile / 100)
    return torch.where(point > 0, point / limit, torch.ones_like(point))


def search_asymmetric(r: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """Step () and integer zero point () of least squared error with codes 0..levels."""
    values = _sample(r)
    low, high = values.amin().clamp(max=0), values.amax().clamp(min=0)
    if bool(high == low):
        return torch.ones_like(low), torch.zeros_like(low)
    steps = _fractions(values.device) * (high - low) / levels      # (G,)
    zeros = (-low / (high - low) * levels).round().expand_as(steps)
    centred = (values.mean() / steps[:, None]).round()              # clip around the mean too
    half = (levels // 2 - centred[:, 0]).clamp(0, levels)
    return _best_codes(values, torch.cat((steps, steps)), torch.cat((zeros, half)), levels)


def _best_codes(values: Tensor, steps: Tensor, zeros: Tensor, levels: int
                ) -> tuple[Tensor, Tensor]:
    errors = []
    for step, zero in zip(steps, zeros, strict=True):
        codes = ((values / step).round() + zero).clamp(0, levels)
        errors.append(((codes - zero) * step - values).square().sum())
    best = torch.stack(errors).argmin()
    return steps[best], zeros[best]
