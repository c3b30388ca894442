"""The gate of GEGLU: half of the outputs times a function of the other half."""

from torch import Tensor

from golden.load.table import lookup
from golden.rounding import rhe, saturate
from spec.fixed import CARRIER_BITS
from spec.stages import Table


def gate(y: Tensor, table: Table, shift: int) -> Tensor:
    """sat16(rhe(y[c] * table(y[C / 2 + c]), shift)): int64 (B, C, H, W) -> (B, C / 2, H, W)."""
    hidden, gates = y.chunk(2, dim=-3)
    return saturate(rhe(hidden * lookup(table, gates), shift), CARRIER_BITS)
