"""Finishing of statistics: sums to the affines of the next load, by integers only.

One division and one bitwise square root per group or row, which a small serial unit does while
the array works; docs/numerics.md, section 13, bounds every width and error.
"""

import torch
from torch import Tensor

from hqdm.golden.arithmetic.rounding import divide, rhe, saturate
from hqdm.spec.stages import AFFINE_BITS, OFFSET_BITS, RECIPROCAL_BITS

MEAN_FRACTION = 4       # fraction bits of a mean; of a variance twice that
ROOT_FRACTION = 39      # 1 / sqrt(T) = r * 2**-(39 + e)
_SHIFT_LIMIT = 62


def bit_length(v: Tensor) -> Tensor:
    """Bits of each nonnegative int64 (0 for 0)."""
    high = v >> 31
    wide = high > 0
    part = torch.where(wide, high, v).to(torch.float64)     # < 2**32, exact
    length = torch.frexp(part).exponent.to(torch.int64)
    return length + 31 * wide.to(torch.int64)


def integer_root(v: Tensor) -> Tensor:
    """floor(sqrt(v)) for int64 0 <= v < 2**60: an estimate, then made exact."""
    root = torch.sqrt(v.to(torch.float64)).to(torch.int64)
    root = root - (root * root > v).to(torch.int64)
    return root + ((root + 1) * (root + 1) <= v).to(torch.int64)


def inverse_root(total: Tensor) -> tuple[Tensor, Tensor]:
    """(r, e) with 1 / sqrt(total) = r * 2**-(39 + e), r in 2**23..2**24, error below 2**-22.

    Normalise to t = total / 4**e in 2**30..2**32, divide u = 2**62 / t, r = floor(sqrt(u * 2**16)).

    Parameters
    ----------
    total: int64, 1..2**61.
    """
    e = (bit_length(total) - 31) >> 1
    t = torch.where(e >= 0, rhe(total, (2 * e).clamp(min=0)), total << (-2 * e).clamp(min=0))
    u = divide(torch.full_like(t, 1 << 62), t)
    return integer_root(u << 16), e


def mean_and_deviation(sums: Tensor, squares: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(mean * 16 rounded, sum over the entries of (16 x - that)**2), both int64.

    The sum is about the rounded mean and exact, so nothing cancels; it is below 2**40 * count.
    """
    mean = divide(sums << MEAN_FRACTION, count)
    cross = (mean * sums) << (MEAN_FRACTION + 1)
    deviation = (squares << (2 * MEAN_FRACTION)) - cross + count * mean * mean
    return mean, deviation.clamp(min=0)


def _scaled(gain: Tensor, root: Tensor, shift: Tensor) -> Tensor:
    """sat18(rhe(gain * r, shift)): the mantissa A or R."""
    return saturate(rhe(gain * root, shift.clamp(0, _SHIFT_LIMIT)), AFFINE_BITS)


def group_affine(sums: Tensor, squares: Tensor, pixels: int, groups: int, drop: Tensor,
                 epsilon: int, gain: Tensor, gain_shift: int, offset: Tensor,
                 ) -> tuple[Tensor, Tensor]:
    """A[c], B[c] of a GroupNorm from the channel statistics of its sources.

    A = sat18(rhe(G[c] * r, gain_shift + 39 + e + drop[c])) and
    B = sat40(beta[c] - rhe(A * mean * 2**drop[c], 4)), with r, e of the deviation plus epsilon.

    Parameters
    ----------
    sums, squares: int64 (B, C) of the stored int16.
    drop: int64 [C], exponent of the channel's source less the smallest of the sources'.
    epsilon: eps * 2**(2 f + 8) as an integer, f the smallest exponent of the sources; at least 1.
    gain, offset: int64 [C]: G[c] (18 bits) and beta[c] before the shift of the affine.
    gain_shift: gamma * sqrt(entries) * 16 * 2**(shift + f_out) = G * 2**-gain_shift.
    """
    batch = sums.shape[0]
    aligned = rhe(sums, drop).view(batch, groups, -1).sum(-1)
    aligned2 = rhe(squares, 2 * drop).view(batch, groups, -1).sum(-1)
    size = sums.shape[1] // groups
    count = size * pixels
    mean, deviation = mean_and_deviation(aligned, aligned2, count)
    root, e = inverse_root(deviation + count * epsilon)
    root, e, mean = (v.repeat_interleave(size, 1) for v in (root, e, mean))   # (B, G) -> (B, C)
    scale = _scaled(gain, root, gain_shift + ROOT_FRACTION + e + drop)
    moved = rhe((scale * mean) << drop, MEAN_FRACTION)
    return scale, saturate(offset - moved, OFFSET_BITS)


def row_normalisation(sums: Tensor, squares: Tensor, channels: int, epsilon: int, gain: int,
                      gain_shift: int) -> tuple[Tensor, Tensor]:
    """R[row], S[row] of a LayerNorm (before gamma and beta) from the row statistics.

    R = sat18(rhe(G * r, gain_shift + 39 + e)), S = sat40(-rhe(R * mean, 4)).
    """
    mean, deviation = mean_and_deviation(sums, squares, channels)
    root, e = inverse_root(deviation + channels * epsilon)
    scale = _scaled(torch.full_like(root, gain), root, gain_shift + ROOT_FRACTION + e)
    return scale, saturate(-rhe(scale * mean, MEAN_FRACTION), OFFSET_BITS)


def reciprocal(total: Tensor) -> tuple[Tensor, Tensor]:
    """(R, L) with 1 / total = R * 2**-(10 + L), R in 2**10..2**11 - 1, for int64 `total` >= 1.

    L is the bits of `total`, one less where R would round to 2**11.
    """
    length = bit_length(total)
    factor = divide(torch.ones_like(total) << (RECIPROCAL_BITS + length), total)
    over = factor >> (RECIPROCAL_BITS + 1)
    return factor >> over, length - over
