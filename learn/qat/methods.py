"""The methods that are compared, by name."""

from dataclasses import dataclass, replace
from typing import Literal

from hqdm.spec.config import PRESETS
from hqdm.spec.fixed import MAX_ORDER, NIBBLE, check_bits, required_operand_bits
from hqdm.spec.layer import Axis
from hqdm.spec.precision import EDGE_BITS, Formats

ConvAxis = Axis | Literal["best"]
Range = Literal["symmetric", "free"]
OPERAND_BITS = max(c.operand_bits for c in PRESETS.values())


@dataclass(frozen=True, kw_only=True)
class Method:
    """How every layer of a model is quantised.

    Parameters
    ----------
    name: of the method.
    about: one line.
    conv_axis: rotation of convolutions, "width", "channel" or "none"; "best": of every layer
        the axis of least quantisation error at calibration, none among them.
    linear_axis: rotation of linear layers, "channel" or "none".
    order: log2 of the largest rotation block.
    asymmetric: activations of up to 4 bits with a zero point; those of 8 bits are symmetric.
    rotated_weights: rotate the weights too and do not rotate back.
    trained: distil after the calibration.
    weights, activations: bits of the body's layers.
    edge_bits: bits of the other layers.

    Raises
    ------
    ValueError: unsupported bits, axis or order.
    """

    name: str
    about: str
    conv_axis: ConvAxis = "none"
    linear_axis: Axis = "none"
    order: int = 5
    asymmetric: bool = False
    rotated_weights: bool = False
    trained: bool = True
    weights: int = 4
    activations: int = 4
    edge_bits: int = EDGE_BITS

    def __post_init__(self) -> None:
        check_bits(self.weights, "--weights")
        check_bits(self.activations, "--activations")
        check_bits(self.edge_bits, "edge bits")
        if self.conv_axis not in ("none", "channel", "width", "best"):
            raise ValueError(f"--axis: wanted channel, width or best, got {self.conv_axis!r}")
        if not 0 <= self.order <= MAX_ORDER:
            raise ValueError(f"--order: wanted 0..{MAX_ORDER}, got {self.order}")

    @property
    def label(self) -> str:
        """Short name for tables: hqdm-width-k5-w4a4."""
        rotation = "" if self.conv_axis == "none" else f"-{self.conv_axis}-k{self.order}"
        free = "-free" if self.asymmetric and not METHODS[self.name].asymmetric else ""
        return f"{self.name}{rotation}{free}-w{self.weights}a{self.activations}"

    @property
    def formats(self) -> Formats:
        """Bits and rotation by role; where every layer has its own best axis, none."""
        return Formats(
            weight_bits=self.weights, activation_bits=self.activations, edge_bits=self.edge_bits,
            convolution="none" if self.conv_axis == "best" else self.conv_axis,
            linear=self.linear_axis, order=self.order, ranged=self.asymmetric)

    @property
    def range(self) -> Range:
        """Bounds of the activations: "symmetric", or "free" in each timestep."""
        return "free" if self.asymmetric else "symmetric"


METHODS = {m.name: m for m in (
    Method(name="hqdm", about="single Hadamard around the activation quantiser",
           conv_axis="width", linear_axis="channel"),
    Method(name="efficientdm", about="no rotation, activations with a zero point", asymmetric=True),
    Method(name="double-hadamard", about="weights and activations rotated, not back",
           conv_axis="channel", linear_axis="channel", rotated_weights=True),
    Method(name="ptq", about="rounding after calibration, no training", trained=False),
)}


def make_method(name: str, *, weights: int = 4, activations: int = 4, axis: ConvAxis | None = None,
                order: int | None = None, span: Range | None = None) -> Method:
    """A method of the registry with its bits, and for hqdm axis of convolutions and range.

    Raises
    ------
    ValueError: an unknown method, unsupported bits, an axis, order or range the method has no use
        for, operands wider than any configuration holds.
    """
    if name not in METHODS:
        raise ValueError(f"--method: wanted one of {', '.join(METHODS)}, got {name!r}")
    method = replace(METHODS[name], weights=weights, activations=activations)
    if axis is not None and axis != method.conv_axis:
        if name != "hqdm":
            raise ValueError(f"--axis: {name} has {method.conv_axis}, got {axis!r}")
        if axis not in ("channel", "width", "best"):
            raise ValueError(f"--axis: wanted channel, width or best, got {axis!r}")
        method = replace(method, conv_axis=axis)
    if order is not None:
        if method.conv_axis == "none":
            raise ValueError(f"--order: {name} does not rotate, got {order}")
        method = replace(method, order=order)
    return method if span is None else _ranged(method, span)


def _ranged(method: Method, span: Range) -> Method:
    if span not in ("symmetric", "free"):
        raise ValueError(f"--range: wanted symmetric or free, got {span!r}")
    if method.name != "hqdm" and span != method.range:
        raise ValueError(f"--range: {method.name} has {method.range}, got {span!r}")
    if method.name == "hqdm" and span == "free":
        if method.activations > NIBBLE:
            raise ValueError(f"--range: wanted symmetric at {method.activations} bits, got 'free'")
        bits = required_operand_bits(method.activations, method.order, True)
        if bits > OPERAND_BITS:
            raise ValueError(
                f"--order: wanted operands of at most {OPERAND_BITS} bits, got {bits} of "
                f"{method.activations}-bit activations of free range at order {method.order}")
    return replace(method, asymmetric=span == "free")
