"""Partial sums to carriers: per output channel, then per timestep."""

from torch import Tensor

from hqdm.golden.arithmetic.rounding import rhe, saturate
from hqdm.golden.store.row_scale import row_scale
from hqdm.spec.fixed import CARRIER_BITS, MID_BITS


def channel_scale(acc: Tensor, multipliers: Tensor, channel_shift: int) -> Tensor:
    """mid = sat24(rhe(acc * M[o], S1)): `acc` int64 (..., O, H, W), `multipliers` int64 [O]."""
    channel = multipliers.to(acc.device)[:, None, None]     # (O,) -> (O, 1, 1)
    return saturate(rhe(acc * channel, channel_shift), MID_BITS)


def step_scale(mid: Tensor, step_multiplier: int, step_shift: int) -> Tensor:
    """y = sat16(rhe(mid * Mt, St))."""
    return saturate(rhe(mid * step_multiplier, step_shift), CARRIER_BITS)


def requantise(acc: Tensor, multipliers: Tensor, channel_shift: int, step_multiplier: int,
               step_shift: int, row_factors: Tensor | None = None) -> Tensor:
    """sat16(rhe(mid * Mt, St)), mid = sat24(rhe(acc * M[o], S1)), its rows scaled if wanted.

    Parameters
    ----------
    acc: int64 (..., O, H, W) within int32.
    multipliers: int64 [O].
    row_factors: int16 that broadcast against `acc` (golden/store/row_scale.py), or None.

    Returns
    -------
    int64 of acc's shape, within int16.
    """
    mid = channel_scale(acc, multipliers, channel_shift)
    if row_factors is not None:
        mid = row_scale(mid, row_factors)
    return step_scale(mid, step_multiplier, step_shift)
