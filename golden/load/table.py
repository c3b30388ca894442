"""Piecewise-linear tables int16 -> int16: SiLU, GELU, exp."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from golden.rounding import rhe, saturate
from spec.fixed import CARRIER, CARRIER_BITS
from spec.stages import FRACTION_BITS, SEGMENT_BITS, SLOPE_BITS, SLOPE_SHIFT, Function, Table

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
    """base and slope of each segment: int64 [2**SEGMENT_BITS]."""

    base: Tensor
    slope: Tensor


@lru_cache(maxsize=64)
def entries(table: Table) -> TableEntries:
    """The integers of a table: each segment interpolates between its rounded ends.

    base = sat16(round(f(left) * 2**out)); the slope is that to the next base, so segments join. The
    rounding of real numbers happens here, once; what runs uses the integers only.
    """
    segments = 1 << SEGMENT_BITS
    left = torch.arange(segments + 1, dtype=torch.float64) * (1 << FRACTION_BITS) + CARRIER.low
    y = real_function(table.function)(left * 2.0 ** -table.in_exponent) * 2.0 ** table.out_exponent
    ends = y.clamp(CARRIER.low, CARRIER.high).round().to(torch.int64)
    slope = ends.diff() << (SLOPE_SHIFT - FRACTION_BITS)
    return TableEntries(ends[:-1].contiguous(), saturate(slope, SLOPE_BITS))


@lru_cache(maxsize=64)
def _every_value(table: Table) -> Tensor:
    """The table's answer to each int16, int16 [65536], index x + 32768."""
    x = torch.arange(CARRIER.low, CARRIER.high + 1, dtype=torch.int64)
    return interpolate(table, x).to(torch.int16)


def interpolate(table: Table, x: Tensor) -> Tensor:
    """sat16(base[i] + rhe(slope[i] * fraction, SLOPE_SHIFT)) for int64 `x` within int16.

    i is the upper SEGMENT_BITS of x + 32768, the fraction the lower FRACTION_BITS.
    """
    known = entries(table)
    position = x - CARRIER.low
    index, fraction = position >> FRACTION_BITS, position & ((1 << FRACTION_BITS) - 1)
    step = rhe(known.slope.to(x.device)[index] * fraction, SLOPE_SHIFT)
    return saturate(known.base.to(x.device)[index] + step, CARRIER_BITS)


def lookup(table: Table, x: Tensor) -> Tensor:
    """`interpolate`, by a lookup of all 65536 answers: equal bits, one memory read a value."""
    return _every_value(table).to(x.device)[(x - CARRIER.low)].to(torch.int64)
