"""A lowered network with real numbers: the list of layers beside its weights, biases and steps."""

from dataclasses import dataclass

from torch import Tensor

from hqdm.spec import Network


@dataclass(frozen=True, kw_only=True, eq=False)
class RealLayer:
    """Real numbers of one layer; T timesteps, K classes (or 1), C input and O output channels.

    Members
    -------
    weights: float64 [O, I, R, R], before quantisation (or dequantised); None for a product.
    integers, scale: int16 [O, I, R, R] and float64 [O], the quantised weights: integer * scale.
    steps: float64 [T] of the activations as the load unit quantises them, rotated by the
        unnormalised Hadamard matrix; None until calibrated.
    low, high: int64 [T], bounds of the quantised activations; None: -Q and Q, or if the load is
        ranged until calibrated.
    weight_steps: float64 [T] of the operand in the weights' place.
    gain: factor of the sums, 1 / sqrt(head size) for scores.
    bias: float64 [T, K, O], time embedding and folded cross-attention included.
    gamma, beta, epsilon: float64 [T, C] of the normalisation at load; None if there is none.
    """

    bias: Tensor
    weights: Tensor | None = None
    integers: Tensor | None = None
    scale: Tensor | None = None
    steps: Tensor | None = None
    low: Tensor | None = None
    high: Tensor | None = None
    weight_steps: Tensor | None = None
    gain: float = 1.0
    gamma: Tensor | None = None
    beta: Tensor | None = None
    epsilon: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class RealNetwork:
    """The list and, in the same order, its real numbers."""

    network: Network
    layers: tuple[RealLayer, ...]

    def __post_init__(self) -> None:
        if len(self.layers) != len(self.network.nodes):
            raise ValueError(f"network {self.network.name}: wanted {len(self.network.nodes)} "
                             f"layers, got {len(self.layers)}")
