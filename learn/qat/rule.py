"""What is done to one layer, as data: written by the conversion, read by export and lowering."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hqdm.spec import Layer, Load, Multiply
from hqdm.spec.fixed import MAX_ORDER, check_bits, sum_magnitude
from hqdm.spec.layer import Axis, Op
from hqdm.spec.precision import Role, rotation

Kind = Literal["conv", "linear", "attention"]

@dataclass(frozen=True, kw_only=True)
class Rule:
    """One layer of a quantised model.

    Parameters
    ----------
    name: the module's name in the model.
    kind: "conv", "linear", or "attention" (the two products of a self-attention).
    role: why it has its bits. "time" and "condition" layers see no pixel: they depend on the
        timestep or the class alone and fold into biases. "unused" ones are never executed
        (to_q and to_k of attention to one token).
    weight_bits, activation_bits: 2, 3, 4 or 8; for attention both are the products' bits.
    axis, order: rotation; order already reduced to what the axis admits, "none" exactly at 0.
    asymmetric: activations have a zero point, that is free bounds per timestep; not at 8 bits.
    rotated_weights: the weights are rotated and the activations not rotated back
        (double Hadamard).
    sources: channels of each concatenated source.
    height, width: of the source, before upsampling (tokens and 1 for linear).
    upsample: 1, or 2 for a nearest upsampling before the layer.
    outputs, kernel, stride, padding: of the convolution (1, 1, 0 for linear).
    heads: of the attention, else 0.

    Raises
    ------
    ValueError: unsupported bits or order.
    """

    name: str
    kind: Kind
    role: Role
    weight_bits: int
    activation_bits: int
    axis: Axis = "none"
    order: int = 0
    asymmetric: bool = False
    rotated_weights: bool = False
    sources: tuple[int, ...]
    height: int
    width: int
    upsample: int = 1
    outputs: int
    kernel: int = 1
    stride: int = 1
    padding: int = 0
    heads: int = 0

    def __post_init__(self) -> None:
        check_bits(self.weight_bits, f"{self.name}: weight bits")
        check_bits(self.activation_bits, f"{self.name}: activation bits")
        if not 0 <= self.order <= MAX_ORDER:
            raise ValueError(f"{self.name}: order: wanted 0..{MAX_ORDER}, got {self.order}")

    @property
    def dim(self) -> int:
        """Axis of the rotation in the layer's input tensor."""
        return 1 if self.kind == "conv" and self.axis == "channel" else -1

    def rotated(self, axis: Axis, order: int) -> tuple[Axis, int]:
        """Axis and order as the layer admits them (`hqdm.spec.precision.rotation`)."""
        bound = sum_magnitude(sum(self.sources) * self.kernel ** 2, self.weight_bits,
                              self.activation_bits, self.asymmetric)
        return rotation(axis, order, channels=self.sources, width=self.width * self.upsample,
                        bound=bound)

    def to_layer(self, timesteps: int) -> Layer:
        """The layer of the contract (without a residual).

        Raises
        ------
        ValueError: rotated weights, attention products, or a shape the accelerator does not do.
        """
        if self.rotated_weights or self.kind == "attention":
            raise ValueError(f"{self.name}: wanted a layer of weights whose activations are "
                             f"rotated and rotated back, got {self}")
        if self.kernel not in (1, 3):
            raise ValueError(f"{self.name}: wanted a kernel of 1 or 3, got {self.kernel}")
        op: Op = "conv3x3" if self.kernel == 3 else "conv1x1"
        return Layer(
            name=self.name, timesteps=timesteps,
            load=Load(channels=self.sources, height=self.height, width=self.width,
                      upsample=self.upsample, axis=self.axis, order=self.order,
                      bits=self.activation_bits, ranged=self.asymmetric),
            multiply=Multiply(op="linear" if self.kind == "linear" else op,
                              out_channels=self.outputs, stride=self.stride,
                              padding=self.padding, bits=self.weight_bits))

    def to_json(self) -> dict[str, Any]:
        """Plain data, of which `hqdm.spec.plain.from_plain` makes the rule again."""
        return asdict(self) | {"sources": list(self.sources)}


def mean_bits(rules: Iterable[Rule]) -> float:
    """Bits per weight, averaged over the weights that are executed."""
    counts = [(r.weight_bits, sum(r.sources) * r.outputs * r.kernel ** 2)
              for r in rules if r.kind != "attention" and r.role != "unused"]
    return sum(b * n for b, n in counts) / sum(n for _, n in counts)
