"""Fake quantisers with learnable steps: integers forward, LSQ gradients backward.

The integer is what the load unit computes, q = clamp(round(r / step), low, high), ties to even.
A quantiser returns q and its scale apart, so that products are sums of integers, scaled once at
the end. The scale is a constant there: the gradient of the step enters at the rounding, as in
LSQ (without its gradient scale).
"""

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from hqdm.learn.qat.search import search_asymmetric, search_symmetric, widest_step
from hqdm.learn.qat.timestep import Timestep
from hqdm.spec.fixed import check_bits, quantised_magnitude, symmetric_max

Bound = Tensor | float


def _round_within(v: Tensor, low: Bound, levels: float, out: Tensor | None = None) -> Tensor:
    """clamp(round(v), low, low + levels); two passes in place take a third of torch.clamp's time.
    """
    q = torch.round(v, out=out)
    for bound, limit in ((low, torch.maximum), (low + levels, torch.minimum)):
        limit(q, bound if isinstance(bound, Tensor) else q.new_tensor(bound), out=q)
    return q


@cache
def _around(low: float, high: float, dtype: torch.dtype) -> tuple[float, float]:
    """The neighbours of an interval."""
    ends = torch.tensor([low, high], dtype=dtype)
    far = torch.tensor([-math.inf, math.inf], dtype=dtype)
    return tuple(torch.nextafter(ends, far).tolist())


class _Quantise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, r: Tensor, step: Tensor, low: Any, levels: float) -> Tensor:
        v = r / step
        tensor = isinstance(low, Tensor)
        ctx.save_for_backward(v, step, *((low,) if tensor else ()))
        ctx.low, ctx.levels = None if tensor else low, levels
        return _round_within(v, low, levels)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        g, (v, step, *bound) = gradients[0], ctx.saved_tensors
        if bound:
            low, x, ends = bound[0], v - bound[0], (0.0, ctx.levels)
        else:
            low, x, ends = ctx.low, v, (ctx.low, ctx.low + ctx.levels)
        ends = _around(*ends, v.dtype)

        def inside(values: Tensor) -> Tensor:
            """`values` where v is inside the bounds, 0 elsewhere: one pass, unlike torch.where."""
            return torch.ops.aten.hardtanh_backward(values, x, *ends)
        q = _round_within(v, low, ctx.levels)
        passed = inside(g)
        of_step = ((q - inside(v)).mul_(g)).sum_to_size(step.shape) / step
        of_low = (g - passed).sum_to_size(bound[0].shape) if bound else None
        return passed / step, of_step, of_low, None


def quantise(r: Tensor, step: Tensor, low: Bound, levels: float) -> Tensor:
    """q = clamp(round(r / step), low, low + levels), float holding integers; ties to even.

    Gradients are those of q * step with the later factor `step` held constant, that is LSQ's:
    d(q step)/dr = 1 inside, 0 outside; d(q step)/dstep = q - r / step inside, q outside;
    `low`, if it is a tensor, gets the gradient of the values that are clamped, above as below.
    """
    if not torch.is_grad_enabled():     # nothing to keep for a gradient: one tensor, in place
        v = r / step
        return _round_within(v, low, levels, out=v)
    return _Quantise.apply(r, step, low, levels)


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, low: float, high: float) -> Tensor:
        return x.round().clamp(low, high)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0], None, None


def round_through(x: Tensor, low: float = -math.inf, high: float = math.inf) -> Tensor:
    """clamp(round(x), low, high), ties to even, with the gradient of x (straight through)."""
    return _Round.apply(x, low, high)


class Steps(nn.Module):
    """A learnable table of positive steps, kept as logarithms.

    So a step cannot become negative, and the learning rate is a relative change per iteration,
    the same for layers of any range (docs/quantisation.md).
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.zeros(size))

    def at(self, index: Tensor) -> Tensor:
        return self.log[index].exp()

    def all(self) -> Tensor:
        return self.log.exp()

    def assign(self, index: Tensor | slice, values: Tensor) -> None:
        with torch.no_grad():
            self.log[index] = values.log().to(self.log)


class FixedSteps(nn.Module):
    """A table of steps as exported."""

    values: Tensor

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.register_buffer("values", values.detach().clone())

    def at(self, index: Tensor) -> Tensor:
        return self.values[index]

    def all(self) -> Tensor:
        return self.values


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """() stays, (B,) becomes (B, 1, ..) to broadcast against `like` (B, ...)."""
    return values if values.dim() == 0 else values.view(-1, *[1] * (like.dim() - 1))


class SymmetricQuantiser(nn.Module):
    """q in -Q..Q with one learnable step per timestep.

    Parameters
    ----------
    bits: 2, 3, 4 or 8; Q = hqdm.spec.fixed.symmetric_max(bits).
    timestep: whose index selects the step.

    Members
    -------
    forward(r (B, ...)) -> (q of r's shape, scale () or (B, 1, ..), detached).
    """

    def __init__(self, bits: int, timestep: Timestep) -> None:
        super().__init__()
        check_bits(bits, "activation bits")
        self.bits, self.timestep = bits, timestep
        self.limit = symmetric_max(bits)
        self.steps: Steps | FixedSteps = Steps(len(timestep))

    def forward(self, r: Tensor) -> tuple[Tensor, Tensor]:
        if self.timestep.observing:
            self.observe(r)
        step = per_sample(self.steps.at(self.timestep.index), r)
        q = r / step if self.timestep.observing else quantise(r, step, -self.limit, 2 * self.limit)
        return q, step.detach()

    def observe(self, r: Tensor) -> None:
        """Set this timestep's step to the one of least squared error on `r`."""
        assert isinstance(self.steps, Steps)
        self.steps.assign(self.timestep.index, search_symmetric(r, self.limit))

    def freeze(self, entries: list[int]) -> None:
        """Keep the steps at `entries` of the table, no longer learnable."""
        self.steps = FixedSteps(self.steps.all()[entries])


class WideQuantiser(SymmetricQuantiser):
    """A symmetric quantiser that does not clip: MARGIN times what calibration saw, not learnable.

    For the latent: where a quantised network does not see how large a pixel of its own sample has
    become, its noise comes out too small, the next latent is larger still, and the sampler runs
    away from there (docs/quantisation.md, section 3).
    """

    def __init__(self, bits: int, timestep: Timestep) -> None:
        super().__init__(bits, timestep)
        self.steps.requires_grad_(False)

    def observe(self, r: Tensor) -> None:
        """Set this timestep's step to MARGIN * max |r| / Q."""
        assert isinstance(self.steps, Steps)
        self.steps.assign(self.timestep.index, widest_step(r, self.limit))


class AsymmetricQuantiser(nn.Module):
    """q + z in 0..2**bits - 1 with a learnable step and zero point z per timestep.

    The zero point is an integer in 0..2**bits - 1, so that zero is a level and padding stays exact;
    it is learnt straight through. forward as `SymmetricQuantiser`: q has the zero point taken
    off, q in -z..2**bits - 1 - z: the load unit's free bounds. Not at 8 bits.
    """

    def __init__(self, bits: int, timestep: Timestep) -> None:
        super().__init__()
        self.levels = quantised_magnitude(bits, ranged=True)
        self.bits, self.timestep = bits, timestep
        self.steps: Steps | FixedSteps = Steps(len(timestep))
        self.zero = nn.Parameter(torch.zeros(len(timestep)))

    def forward(self, r: Tensor) -> tuple[Tensor, Tensor]:
        if self.timestep.observing:
            self.observe(r)
        step = per_sample(self.steps.at(self.timestep.index), r)
        if self.timestep.observing:
            return r / step, step.detach()
        zero = round_through(per_sample(self.zero[self.timestep.index], r), 0, self.levels)
        return quantise(r, step, -zero, self.levels), step.detach()

    def observe(self, r: Tensor) -> None:
        """Set this timestep's step and zero point to those of least squared error on `r`."""
        assert isinstance(self.steps, Steps)
        step, zero = search_asymmetric(r, self.levels)
        self.steps.assign(self.timestep.index, step)
        with torch.no_grad():
            self.zero[self.timestep.index] = zero.to(self.zero)

    def freeze(self, entries: list[int]) -> None:
        """Keep the entries `entries` of both tables, no longer learnable."""
        self.steps = FixedSteps(self.steps.all()[entries])
        zero = self.zero.detach().round().clamp(0, self.levels)[entries]
        self.zero = nn.Parameter(zero, requires_grad=False)
