"""The integer network: calibration of a lowered network, its integers, its interpreter.

`source` is what a trained model has to tell, `real` the list beside its real numbers, `reference`
runs it in floating point, `calibrate.quantise` makes the integers, `interpreter` runs them.
"""

from golden.network.calibrate import calibrate_steps, find_ranges, quantise
from golden.network.fidelity import Fidelity, fidelity
from golden.network.integers import integer_network
from golden.network.interpreter import IntegerNetwork
from golden.network.real import RealLayer, RealNetwork
from golden.network.reference import Reference
from golden.network.source import Format, Quantisation, QuantisedAttention, QuantisedModule

__all__ = [
    "Fidelity", "Format", "IntegerNetwork", "Quantisation", "QuantisedAttention", "QuantisedModule",
    "RealLayer", "RealNetwork", "Reference", "calibrate_steps", "fidelity", "find_ranges",
    "integer_network", "quantise",
]
