"""The neutral form of a quantised model: what lowering asks of whoever trained or rounded it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hqdm.kit.check import check_dtype, check_range, check_tensor
from hqdm.learn.calibration.real import RealLayer
from hqdm.learn.qat.search import search_rows
from hqdm.spec import Layer
from hqdm.spec.fixed import symmetric_max, weight_range


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantisedAttention:
    """Steps of the 8-bit operands of an attention, float64 [T] each.

    Probabilities are quantised before they are normalised, exp(score - row maximum) in 0..1; None
    is the step 1/Q at every timestep.
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
    """All of a trained model.

    Parameters
    ----------
    modules: by name ("down_blocks.0.resnets.0.conv1") the layer in its format and its numbers:
        weights, integers, scale, steps and bounds.
    attentions: by name ("…attn1"); those that are not named are calibrated.

    Raises
    ------
    TypeError, ValueError: integers out of range, steps or scales that are not positive, bounds
        beside symmetric activations.
    """

    modules: Mapping[str, tuple[Layer, RealLayer]]
    attentions: Mapping[str, QuantisedAttention] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for layer, real in self.modules.values():
            _check_trained(layer, real)


def _check_trained(layer: Layer, real: RealLayer) -> None:
    """Raise unless integers, scale, steps and bounds are those of `layer`."""
    assert real.integers is not None and real.scale is not None and real.steps is not None
    check_dtype("weights", real.integers, torch.int16)
    check_range("weights", real.integers, *weight_range(layer.multiply.bits))
    check_positive("weight_scale", real.scale)
    check_positive("steps", real.steps)
    for name, bound in (("low", real.low), ("high", real.high)):
        if (bound is not None) != layer.load.ranged:
            raise ValueError(f"bounds: wanted low and high exactly for free ranges, got "
                             f"{real.low}, {real.high}")
        if bound is not None:
            check_tensor(name, bound, torch.int64, tuple(real.steps.shape))


def check_positive(name: str, value: Tensor) -> None:
    """Raise unless `value` is a float64 vector of positive finite numbers."""
    check_dtype(name, value, torch.float64)
    if value.dim() != 1 or not bool((torch.isfinite(value) & (value > 0)).all()):
        raise ValueError(f"{name}: wanted a vector of positive numbers, got shape "
                         f"{tuple(value.shape)}, smallest {float(value.min())}")


def quantise_weights(weights: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """(integers int16, scale float64 [O]): per output channel the scale of least squared error
    (hqdm.learn.qat.search).

    Parameters
    ----------
    weights: [O, ...], any float type.
    """
    limit = symmetric_max(bits)
    rows = weights.detach().to(torch.float64).flatten(1)
    scale = search_rows(rows, rows.abs().amax(1), limit).to(torch.float64)
    q = (rows / scale[:, None]).round().clamp(-limit, limit)
    return q.to(torch.int16).view(weights.shape), scale
