"""A lowered network's real numbers to its integers.

`source` is what a trained model has to tell, `real` the list beside its real numbers, `reference`
runs it in floating point, `calibrate.quantise` makes the integers.
"""

from hqdm.learn.calibration.calibrate import calibrate_steps, find_ranges, quantise
from hqdm.learn.calibration.fidelity import Fidelity, fidelity
from hqdm.learn.calibration.integers import integer_network
from hqdm.learn.calibration.real import RealLayer, RealNetwork
from hqdm.learn.calibration.reference import Reference
from hqdm.learn.calibration.source import Quantisation, QuantisedAttention

__all__ = [
    "Fidelity", "Quantisation", "QuantisedAttention", "RealLayer", "RealNetwork", "Reference",
    "calibrate_steps", "fidelity", "find_ranges", "integer_network", "quantise",
]
