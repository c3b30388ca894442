"""The methods that are compared, by name."""

from dataclasses import dataclass, replace
from typing import Literal

from spec.fixed import MAX_ORDER, check_bits
from spec.layer import Axis

ConvAxis = Axis | Literal["best"]
EDGE_BITS = 8       # first, last, skip and downsampling layers, embeddings, attention products


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
    asymmetric: activations with a zero point.
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
        return f"{self.name}{rotation}-w{self.weights}a{self.activations}"


METHODS = {m.name: m for m in (
    Method(name="hqdm", about="single Hadamard around the activation quantiser",
           conv_axis="width", linear_axis="channel"),
    Method(name="efficientdm", about="no rotation, asymmetric activations", asymmetric=True),
    Method(name="double-hadamard", about="weights and activations rotated, not back",
           conv_axis="channel", linear_axis="channel", rotated_weights=True),
    Method(name="ptq", about="rounding after calibration, no training", trained=False),
)}


def make_method(name: str, *, weights: int = 4, activations: int = 4, axis: ConvAxis | None = None,
                order: int | None = None) -> Method:
    """A method of the registry with its bits, and for hqdm the axis of convolutions.

    Raises
    ------
    ValueError: an unknown method, unsupported bits, an axis or order the method has no use for.
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
    return method
