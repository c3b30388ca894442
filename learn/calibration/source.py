"""The neutral form of a quantised model: what lowering asks of whoever trained or rounded it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hqdm.kit.check import check_dtype, check_range, check_tensor
from hqdm.spec.fixed import check_bits, quantised_magnitude, symmetric_max, weight_range
from hqdm.spec.layer import Axis, Op


@dataclass(frozen=True, kw_only=True)
class Format:
    """How one convolution or linear layer is quantised.

    Parameters
    ----------
    weight_bits, activation_bits: 2, 3, 4 or 8.
    axis: axis of the rotation, "channel", "width" or "none".
    order: wanted log2 of the rotation block; a layer takes min(order, what its axis admits).
    ranged: bounds of the quantised activations free in each timestep; not at 8 bits.
    """

    weight_bits: int = 8
    activation_bits: int = 8
    axis: Axis = "none"
    order: int = 0
    ranged: bool = False

    def __post_init__(self) -> None:
        check_bits(self.weight_bits, "weight bits")
        check_bits(self.activation_bits, "activation bits")
        quantised_magnitude(self.activation_bits, self.ranged)


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantisedModule:
    """A Conv2d or Linear in integers.

    value of a weight = weights * weight_scale[o]; the activation, rotated by the *orthogonal*
    Hadamard matrix, is clamp(round(r / steps[t]), low[t], high[t]) * steps[t].

    Parameters
    ----------
    format: bits and rotation.
    weights: int16 [O, I, R, R] (R = 1 for linear) in `hqdm.spec.fixed.weight_range`.
    weight_scale: float64 [O], positive.
    steps: float64 [T], positive.
    low, high: int64 [T], low <= 0 <= high, high - low < 2**bits, for `format.ranged`; else None,
        which is -Q and Q.
    op: "linear", "conv1x1" or "conv3x3".
    stride, padding: of a convolution.
    """

    format: Format
    weights: Tensor
    weight_scale: Tensor
    steps: Tensor
    op: Op
    stride: int = 1
    padding: int = 0
    low: Tensor | None = None
    high: Tensor | None = None

    def __post_init__(self) -> None:
        for bound in (self.low, self.high):
            if (bound is not None) != self.format.ranged:
                raise ValueError(f"bounds: wanted low and high exactly for free ranges, got "
                                 f"{self.low}, {self.high}")
        check_dtype("weights", self.weights, torch.int16)
        check_range("weights", self.weights, *weight_range(self.format.weight_bits))
        for name in ("low", "high"):
            if getattr(self, name) is not None:
                check_tensor(name, getattr(self, name), torch.int64, tuple(self.steps.shape))
        for name in ("weight_scale", "steps"):
            check_positive(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantisedAttention:
    """Steps of the 8-bit operands of an attention, float64 [T] each, Q = 119.

    Probabilities are quantised before they are normalised, exp(score - row maximum) in 0..1; None
    is the step 1/119 at every timestep.
    """

    queries: Tensor
    keys: Tensor
    values: Tensor
    probabilities: Tensor | None = None

    def __post_init__(self) -> None:
        for name in ("queries", "keys", "values", "probabilities"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantisation:
    """All of a model: modules by name ("down_blocks.0.resnets.0.conv1"), attentions by name
    ("…attn1"). Attentions that are not named are calibrated."""

    modules: Mapping[str, QuantisedModule]
    attentions: Mapping[str, QuantisedAttention] = field(default_factory=dict)


def check_positive(name: str, value: Tensor) -> None:
    """Raise unless `value` is a float64 vector of positive finite numbers."""
    check_dtype(name, value, torch.float64)
    if value.dim() != 1 or not bool((torch.isfinite(value) & (value > 0)).all()):
        raise ValueError(f"{name}: wanted a vector of positive numbers, got shape "
                         f"{tuple(value.shape)}, smallest {float(value.min())}")


def quantise_weights(weights: Tensor, bits: int, candidates: int = 24) -> tuple[Tensor, Tensor]:
    """(integers int16, scale float64 [O]): per output channel the scale of least squared error.

    Parameters
    ----------
    weights: [O, ...], any float type.
    """
    limit = symmetric_max(bits)
    rows = weights.detach().to(torch.float64).flatten(1)
    top = rows.abs().amax(1).clamp(min=1e-12) / limit
    best, error = top, torch.full_like(top, torch.inf)
    for i in range(candidates):
        scale = top * (1 - 0.7 * i / candidates)
        q = (rows / scale[:, None]).round().clamp(-limit, limit)
        miss = (q * scale[:, None] - rows).square().sum(1)
        best, error = torch.where(miss < error, scale, best), torch.minimum(miss, error)
    q = (rows / best[:, None]).round().clamp(-limit, limit)
    return q.to(torch.int16).view(weights.shape), best
