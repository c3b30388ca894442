"""Piecewise-linear tables int16 -> int16: SiLU, GELU, exp."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from hqdm.golden.arithmetic.rounding import rhe, saturate
from hqdm.spec.fixed import CARRIER, CARRIER_BITS
from hqdm.spec.stages import (
    BASE_FRACTION,
    FRACTION_BITS,
    SEGMENT_BITS,
    SLOPE_BITS,
    SLOPE_SHIFT,
    Function,
    Table,
)

_FUNCTIONS: dict[Function, Callable[[Tensor], Tensor]] = {
    "silu": lambda x: x * torch.sigmoid(x),
    "gelu": lambda x: x * 0.5 * (1 + torch.erf(x * 0.5 ** 0.5)),
    "exp": torch.exp,
    "identity": lambda x: x,
}


def real_function(function: Function) -> Callable[[Tensor], Tensor]:
    """What the table approximates, on real numbers."""
    return _FUNCTIONS[function]


@dataclass(frozen=True, eq=False)
class TableEntries:
    """base (two fraction bits) and slope of each segment: int64 [2**SEGMENT_BITS], 18 bits each."""

    base: Tensor
    slope: Tensor


@lru_cache(maxsize=64)
def entries(table: Table) -> TableEntries:
    """The integers of a table: the chord of each segment, moved by half of its largest error.

    The rounding of real numbers happens here, once; what runs uses the integers only.
    """
    function, segments, width = real_function(table.function), 1 << SEGMENT_BITS, 1 << FRACTION_BITS

    def value(x: Tensor) -> Tensor:
        y = function(x * 2.0 ** -table.in_exponent) * 2.0 ** table.out_exponent
        return y.clamp(CARRIER.low, CARRIER.high + 1)

    left = torch.arange(segments, dtype=torch.float64) * width + CARRIER.low
    start, end = value(left), value(left + width)
    base = start + (value(left + width / 2) - (start + end) / 2) / 2
    integers = [(base * (1 << BASE_FRACTION)).round(),
                ((end - start) * ((1 << SLOPE_SHIFT) / width)).round()]
    return TableEntries(*(saturate(v.to(torch.int64), SLOPE_BITS) for v in integers))


@lru_cache(maxsize=64)
def _every_value(table: Table) -> Tensor:
    """The table's answer to each int16, int16 [65536], index x + 32768."""
    x = torch.arange(CARRIER.low, CARRIER.high + 1, dtype=torch.int64)
    return interpolate(table, x).to(torch.int16)


def interpolate(table: Table, x: Tensor) -> Tensor:
    """sat16(rhe(base[i] * 2**11 + slope[i] * fraction, 13)) for int64 `x` within int16.

    i is the upper SEGMENT_BITS of x + 32768, the fraction the lower FRACTION_BITS.
    """
    known = entries(table)
    position = x - CARRIER.low
    index, fraction = position >> FRACTION_BITS, position & ((1 << FRACTION_BITS) - 1)
    base = known.base.to(x.device)[index] << (SLOPE_SHIFT - BASE_FRACTION)
    return saturate(rhe(base + known.slope.to(x.device)[index] * fraction, SLOPE_SHIFT),
                    CARRIER_BITS)


def lookup(table: Table, x: Tensor) -> Tensor:
    """`interpolate`, by a lookup of all 65536 answers: equal bits, one memory read a value."""
    return _every_value(table).to(x.device)[(x - CARRIER.low)].to(torch.int64)
