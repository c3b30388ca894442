"""The second operand: aligned to the output's exponent, then added or subtracted."""

from torch import Tensor

from hqdm.golden.arithmetic.rounding import rhe, saturate
from hqdm.spec.fixed import CARRIER_BITS, RESIDUAL_SHIFT
from hqdm.spec.layer import Residual


def align(x2: Tensor, shift: int) -> Tensor:
    """sat16(rhe(x2 * 2**15, 15 + shift)): `x2` int64, `shift` a right shift of -15..15."""
    return saturate(rhe(x2 << RESIDUAL_SHIFT, RESIDUAL_SHIFT + shift), CARRIER_BITS)


def combine(y: Tensor, x2: Tensor, shift: int, residual: Residual) -> Tensor:
    """sat16(y +- align(x2, shift)); `residual` is "add" or "subtract"."""
    aligned = align(x2, shift)
    return saturate(y - aligned if residual == "subtract" else y + aligned, CARRIER_BITS)
