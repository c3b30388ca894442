"""The golden model: integer load, multiply, store in PyTorch, bit for bit the core.

The folders follow the three words; `docs/numerics.md` derives every width.
"""

from hqdm.golden.carrier import Carrier
from hqdm.golden.layer import run_layer
from hqdm.golden.parameters import Parameters

__all__ = ["Carrier", "Parameters", "run_layer"]
