"""The gate of GEGLU: half of the outputs times a function of the other half."""

from torch import Tensor

from hqdm.golden.arithmetic.rounding import rhe, saturate
from hqdm.golden.arithmetic.table import lookup
from hqdm.spec.fixed import CARRIER_BITS
from hqdm.spec.stages import Table


def gate(y: Tensor, table: Table, shift: int) -> Tensor:
    """sat16(rhe(y[c] * table(y[C / 2 + c]), shift)): int64 (B, C, H, W) -> (B, C / 2, H, W)."""
    hidden, gates = y.chunk(2, dim=-3)
    return saturate(rhe(hidden * lookup(table, gates), shift), CARRIER_BITS)
