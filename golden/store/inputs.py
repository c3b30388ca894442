"""What the stages of a store read besides the partial sums."""

from dataclasses import dataclass

from torch import Tensor

from hqdm.golden.carrier import Carrier
from hqdm.golden.parameters import Parameters
from hqdm.spec import Layer


@dataclass(frozen=True, kw_only=True, eq=False)
class StoreInputs:
    """Operands of one store at one timestep.

    Members
    -------
    layer, parameters, timestep: whose store it is.
    bias: int16 [O], or [B, O] by the class of each image.
    second: carrier of the output's shape, or None.
    factors: row factors, int16 that broadcast against the sums, or None.
    gate_shift: shift of the product of a gate.
    """

    layer: Layer
    parameters: Parameters
    timestep: int
    bias: Tensor
    second: Carrier | None = None
    factors: Tensor | None = None
    gate_shift: int = 0
