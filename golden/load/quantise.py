"""Quantiser with the timestep's scale."""

from torch import Tensor

from hqdm.golden.arithmetic.rounding import clamp, rhe


def quantise(r: Tensor, multiplier: int, shift: int, low: int, high: int) -> Tensor:
    """q = clamp(rhe(r * multiplier, shift), low, high), int64."""
    return clamp(rhe(r * multiplier, shift), low, high)
