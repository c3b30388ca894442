"""The reciprocal of softmax: row by row, at 24 bits."""

import torch
from torch import Tensor

from hqdm.golden.arithmetic.finish import reciprocal
from hqdm.golden.arithmetic.rounding import rhe, saturate
from hqdm.kit.check import check_range, check_tensor
from hqdm.spec import Layer
from hqdm.spec.fixed import CARRIER_BITS, MID_BITS
from hqdm.spec.stages import RECIPROCAL_BITS, ROW_MANTISSA_BITS, ROW_SHIFT_BITS


def row_factors(totals: Tensor, guard: int) -> Tensor:
    """1 / total as the core takes it: int16 patterns, mantissa in bits 0..10, shift in 11..15.

    mid * mantissa * 2**-shift = mid / total * 2**(10 + guard).

    Parameters
    ----------
    totals: int64 of any shape, sums of quantised probabilities, 2**guard..2**(31 + guard).

    Raises
    ------
    ValueError: a total that needs another shift than 0..31.
    """
    mantissa, length = reciprocal(totals)
    shift = length - guard
    check_range("row factor shift", shift, 0, (1 << ROW_SHIFT_BITS) - 1)
    return (mantissa | shift << ROW_MANTISSA_BITS).to(torch.int16)


def unpack_factors(factors: Tensor) -> tuple[Tensor, Tensor]:
    """(mantissa, shift), int64, of int16 patterns."""
    bits = factors.to(torch.int64) & (1 << CARRIER_BITS) - 1
    return bits & (1 << ROW_MANTISSA_BITS) - 1, bits >> ROW_MANTISSA_BITS


def row_scale(mid: Tensor, factors: Tensor) -> Tensor:
    """sat24(rhe(mid * mantissa, shift)): int64 `mid`, int16 `factors` that broadcast against it.

    Between the channel and the timestep multiplier, where there are 24 bits: a row with one
    probability near 1 and a row of equal ones have sums that differ by the number of keys, which
    16 bits before the division could not hold.
    """
    mantissa, shift = unpack_factors(factors.to(mid.device))
    return saturate(rhe(mid * mantissa, shift), MID_BITS)


def check_factors(layer: Layer, factors: Tensor | None, batch: tuple[int, ...]) -> None:
    """Raise TypeError or ValueError unless there are normalised factors exactly if wanted.

    They are int16 (*batch, H', W'), one per output pixel.
    """
    wanted = layer.store.stages.row_scale
    if (factors is not None) != wanted:
        raise ValueError(f"{layer.name}: wanted {'' if wanted else 'no '}row factors "
                         f"(row scale {wanted}), got {'none' if factors is None else 'some'}")
    if factors is not None:
        shape = (*batch, layer.out_height, layer.out_width)
        check_tensor(f"{layer.name}: row factors", factors, torch.int16, shape)
        check_range(f"{layer.name}: row factor mantissa", unpack_factors(factors)[0],
                    1 << RECIPROCAL_BITS, (1 << ROW_MANTISSA_BITS) - 1)
