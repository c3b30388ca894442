"""Frozen weights with a low-rank correction, merged and then quantised per output channel."""

import math

import torch
from torch import Tensor, nn

from hqdm.learn.qat.quantiser import FixedSteps, Steps, quantise
from hqdm.learn.qat.rotation import rotate
from hqdm.learn.qat.search import search_rows
from hqdm.learn.qat.timestep import Timestep
from hqdm.spec.fixed import check_bits, symmetric_max

RANK = 32


class LowRank(nn.Module):
    """W + B A: `weight` (O, ...) frozen, A (rank, inputs) random, B (O, rank) zero at first.

    The rank is at most the smaller side of the matrix.
    """

    weight: Tensor

    def __init__(self, weight: Tensor, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("weight", weight.detach().clone())
        outputs, inputs = weight.shape[0], weight[0].numel()
        rank = min(rank, outputs, inputs)
        a = torch.randn(rank, inputs, generator=generator) / math.sqrt(inputs)
        self.a = nn.Parameter(a.to(weight))
        self.b = nn.Parameter(torch.zeros(outputs, rank).to(weight))

    def forward(self) -> Tensor:
        return self.weight + (self.b @ self.a).view_as(self.weight)


class TrainedWeight(nn.Module):
    """Integer weights of a layer in training, with LoRA and a learnable step per channel.

    Parameters
    ----------
    weight: float (O, I) or (O, I, R, R).
    bits: 2, 3, 4 or 8; integers in -Q..Q, Q = hqdm.spec.fixed.symmetric_max(bits).
    rank: of the low-rank correction.
    order: rotate the weight along its input channels first (double Hadamard), 0: do not.
    timestep: while it observes (calibration) the weight passes unrounded.
    generator: of the random side of the correction.

    Members
    -------
    forward() -> (integers as float, of weight's shape; scale (O,), detached).
    """

    def __init__(self, weight: Tensor, *, bits: int, rank: int, order: int, timestep: Timestep,
                 generator: torch.Generator) -> None:
        super().__init__()
        check_bits(bits, "weight bits")
        self.bits, self.order, self.timestep = bits, order, timestep
        self.limit = symmetric_max(bits)
        self.merged = LowRank(weight, rank, generator)
        self.steps = Steps(weight.shape[0])
        self.reset_steps()

    def value(self) -> Tensor:
        """The merged weight in the basis it is quantised in, float."""
        with torch.autocast(self.merged.weight.device.type, enabled=False):
            return rotate(self.merged(), self.order, 1) * 2.0 ** -self.order

    def reset_steps(self) -> None:
        """Steps of least squared error for the weights as they are."""
        rows = self.value().detach().flatten(1)
        self.steps.assign(slice(None), search_rows(rows, rows.abs().amax(1), self.limit))

    def forward(self) -> tuple[Tensor, Tensor]:
        w = self.value()
        step = self.steps.all()
        wide = step.view(-1, *[1] * (w.dim() - 1))      # (O,) -> (O, 1, ..)
        if self.timestep.observing:
            return w / wide, step.detach()
        return quantise(w, wide, -self.limit, 2 * self.limit), step.detach()

    def freeze(self) -> "FixedWeight":
        """The same integers and scales, no longer learnable."""
        with torch.no_grad():
            q, scale = self()
        return FixedWeight(q.to(torch.int8), scale, self.bits)


class FixedWeight(nn.Module):
    """Integer weights and scales as exported; `forward` as `TrainedWeight`."""

    integers: Tensor

    def __init__(self, integers: Tensor, scale: Tensor, bits: int) -> None:
        super().__init__()
        self.bits = bits
        self.register_buffer("integers", integers)
        self.steps = FixedSteps(scale)

    def forward(self) -> tuple[Tensor, Tensor]:
        return self.integers.float(), self.steps.all()
