"""Row and channel affines: normalisation and alignment at load."""

from torch import Tensor

from hqdm.golden.arithmetic.rounding import rhe, saturate
from hqdm.spec.fixed import CARRIER_BITS


def channel_affine(x: Tensor, scale: Tensor, offset: Tensor, shift: int) -> Tensor:
    """sat16(rhe(x * A[c] + B[c], shift)).

    Parameters
    ----------
    x: int64 (..., C, H, W) within int16.
    scale, offset: int64 (C,) or (B, C); A of `hqdm.spec.stages.AFFINE_BITS`, B of
        `OFFSET_BITS` bits.
    """
    wide = x * scale[..., None, None] + offset[..., None, None]
    return saturate(rhe(wide, shift), CARRIER_BITS)


def row_affine(x: Tensor, scale: Tensor | int, offset: Tensor, shift: int) -> Tensor:
    """sat16(rhe(x * R[row] + S[row], shift)); rows are pixels.

    Parameters
    ----------
    x: int64 (B, C, H, W) within int16.
    scale, offset: int64 (B, H, W) (or one R for all).
    """
    factor = scale if isinstance(scale, int) else scale.unsqueeze(-3)
    return saturate(rhe(x * factor + offset.unsqueeze(-3), shift), CARRIER_BITS)
