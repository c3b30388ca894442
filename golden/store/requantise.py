"""Partial sums to carriers: per output channel, then per timestep."""

from torch import Tensor

from hqdm.golden.arithmetic.rounding import rhe, saturate
from hqdm.spec.fixed import CARRIER_BITS, MID_BITS


def channel_scale(acc: Tensor, multipliers: Tensor, channel_shift: int) -> Tensor:
    """mid = sat24(rhe(acc * M[o], S1)): `acc` int64 (..., O, H, W), `multipliers` int64 [O]."""
    channel = multipliers.to(acc.device)[:, None, None]     # (O,) -> (O, 1, 1)
    return saturate(rhe(acc * channel, channel_shift), MID_BITS)


def step_scale(mid: Tensor, step_multiplier: int, step_shift: int) -> Tensor:
    """y = sat16(rhe(mid * Mt, St))."""
    return saturate(rhe(mid * step_multiplier, step_shift), CARRIER_BITS)
