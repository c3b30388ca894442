"""The reciprocal of softmax: row by row, at 24 bits."""

from torch import Tensor

from golden.rounding import rhe, saturate
from golden.store.finish import reciprocal
from spec.fixed import MID_BITS


def row_scale(mid: Tensor, totals: Tensor, guard: int) -> Tensor:
    """sat24(rhe(mid * R[row], L[row] - guard)), (R, L) the reciprocal of the row's total.

    Between the channel and the timestep multiplier, where there are 24 bits: a row with one
    probability near 1 and a row of equal ones have sums that differ by the number of keys, which
    16 bits before the division could not hold. mid / total comes out scaled by 2**(15 + guard).

    Parameters
    ----------
    mid: int64 (B, heads, size, H, W) within 24 bits.
    totals: int64 (B, heads, H, W), sums of the quantised probabilities, at least 2**guard.
    """
    factor, length = reciprocal(totals)
    return saturate(rhe(mid * factor.unsqueeze(2), (length - guard).unsqueeze(2)), MID_BITS)
