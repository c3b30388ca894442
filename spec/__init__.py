"""The contract in pure Python: configuration, layers, registers, descriptors, number formats.

Every other package imports this one; it imports none of them and no third-party library.
"""

from hqdm.spec.config import PRESETS, Config, config_by_name
from hqdm.spec.layer import Layer, Load, Multiply, Store, effective_order
from hqdm.spec.network import HostTensor, Network, Node, TensorSpec
from hqdm.spec.stages import LoadStages, StoreStages, Table

__all__ = [
    "PRESETS", "Config", "HostTensor", "Layer", "Load", "LoadStages", "Multiply", "Network", "Node",
    "Store", "StoreStages", "Table", "TensorSpec", "config_by_name", "effective_order",
]
