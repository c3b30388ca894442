"""Quantiser with the timestep's scale, and the split into signed nibbles."""

from torch import Tensor

from hqdm.golden.arithmetic.rounding import clamp, rhe

NIBBLE_OFFSET = 8       # a signed nibble is -8..7


def quantise(r: Tensor, multiplier: int, shift: int, low: int, high: int) -> Tensor:
    """q = clamp(rhe(r * multiplier, shift), low, high), int64."""
    return clamp(rhe(r * multiplier, shift), low, high)


def split_nibbles(q: Tensor) -> tuple[Tensor, Tensor]:
    """(lo, hi) with q = 16 * hi + lo and lo in -8..7; |q| <= 119 gives hi in -7..7."""
    lo = ((q + NIBBLE_OFFSET) & 15) - NIBBLE_OFFSET
    return lo, (q - lo) >> 4
