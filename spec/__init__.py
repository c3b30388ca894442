"""The contract in pure Python: configuration, layers, registers, descriptors, number formats.

Every other package imports this one; it imports none of them and no third-party library.
"""

from spec.config import PRESETS, Config, config_by_name
from spec.layer import Layer, Load, Multiply, Store, effective_order

__all__ = [
    "PRESETS", "Config", "Layer", "Load", "Multiply", "Store", "config_by_name",
    "effective_order",
]
