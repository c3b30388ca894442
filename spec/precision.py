"""Which layer gets how many bits and which rotation: one table for training and for lowering.

A layer has its format by its role in the network. Training knows the roles from a dry run
(`hqdm.learn.qat.convert`), among them those of layers that see no pixel and fold into biases; a
lowered network tells them by its structure (`roles`).
"""

from dataclasses import dataclass, replace
from typing import Literal

from hqdm.spec.fixed import ACCUMULATOR, MAX_ORDER, NIBBLE, check_bits, quantised_magnitude
from hqdm.spec.layer import Axis, Layer, axis_length, effective_order
from hqdm.spec.network import Network

Role = Literal["first", "last", "time", "condition", "unused", "skip", "downsample", "product",
               "body"]
EDGE: tuple[Role, ...] = ("first", "last", "time", "condition", "skip", "downsample", "product")
ROTATED: tuple[Role, ...] = ("body", "skip", "downsample")
EDGE_BITS = 8


@dataclass(frozen=True, kw_only=True)
class Format:
    """How one layer is quantised.

    Parameters
    ----------
    weight_bits, activation_bits: 2, 3, 4 or 8.
    axis: axis of the rotation, "channel", "width" or "none".
    order: wanted log2 of the rotation block; a layer takes what `rotation` leaves of it.
    ranged: bounds of the quantised activations free in each timestep; not at 8 bits.
    """

    weight_bits: int = 8
    activation_bits: int = 8
    axis: Axis = "none"
    order: int = 0
    ranged: bool = False

    def __post_init__(self) -> None:
        check_bits(self.weight_bits, "weight bits")
        check_bits(self.activation_bits, "activation bits")
        quantised_magnitude(self.activation_bits, self.ranged)


@dataclass(frozen=True, kw_only=True)
class Formats:
    """The formats of a network: first and last layer, what sees no pixel and the products of
    attention at 8 bits without rotation, shortcuts and downsampling at 8 bits and rotated, the
    body at few bits and rotated.

    Parameters
    ----------
    weight_bits, activation_bits: of the body.
    edge_bits: of the others, at least.
    convolution, linear: axis of the rotation of convolutions and of linear layers.
    order: wanted log2 of the rotation block.
    ranged: free bounds of activations of up to 4 bits.

    Raises
    ------
    ValueError: an order outside 0..6, bits that no layer has.
    """

    weight_bits: int = 4
    activation_bits: int = 4
    edge_bits: int = EDGE_BITS
    convolution: Axis = "width"
    linear: Axis = "channel"
    order: int = 5
    ranged: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.order <= MAX_ORDER:
            raise ValueError(f"order: wanted 0..{MAX_ORDER}, got {self.order}")
        check_bits(self.weight_bits, "weight bits")
        check_bits(self.activation_bits, "activation bits")
        check_bits(self.edge_bits, "edge bits")

    def of(self, role: Role, linear: bool) -> Format:
        """The format of a layer by its role, `linear` or a convolution."""
        least = self.edge_bits if role in EDGE else 0
        activations = max(least, self.activation_bits)
        axis: Axis = "none"
        if role in ROTATED and self.order:
            axis = self.linear if linear else self.convolution
        return Format(weight_bits=max(least, self.weight_bits), activation_bits=activations,
                      axis=axis, order=self.order if axis != "none" else 0,
                      ranged=self.ranged and activations <= NIBBLE)


def rotation(axis: Axis, order: int, *, channels: tuple[int, ...], width: int, bound: int,
             ) -> tuple[Axis, int]:
    """(axis, order) as a layer admits them: whole blocks within one source, and partial sums
    within int32; ("none", 0) if nothing is left.

    Parameters
    ----------
    order: wanted, at most 6: up to there the operands fit the 10 bits of every preset, but for
        free bounds of 4 bits at order 6.
    channels: of each source.
    width: of the rotated tensor, after upsampling; 1 of a linear layer.
    bound: on the magnitude of the partial sums without rotation
        (`hqdm.spec.fixed.sum_magnitude`), which doubles with every order.
    """
    room = max(0, (ACCUMULATOR.high // bound).bit_length() - 1)
    order = min(effective_order(order, axis_length(axis, channels, width)), room)
    return (axis, order) if order else ("none", 0)


def with_format(layer: Layer, chosen: Format) -> Layer:
    """`layer` with these bits and as much of the rotation as it admits."""
    plain = replace(
        layer, load=replace(layer.load, bits=chosen.activation_bits, ranged=chosen.ranged,
                            axis=chosen.axis, order=0),
        multiply=replace(layer.multiply, bits=chosen.weight_bits))
    load = plain.load
    axis, order = rotation(chosen.axis, chosen.order, channels=load.channels,
                           width=load.width * load.upsample, bound=plain.partial_sum_bound)
    return replace(plain, load=replace(load, axis=axis, order=order))


def roles(network: Network) -> tuple[Role, ...]:
    """The role of every node: "product", "first" (reads the input), "last" (writes the output),
    "skip" (a convolution that is only added to others), "downsample" (of stride 2), "body"."""
    nodes = network.nodes
    read = {name for n in nodes for name in (*n.sources, n.weights)}
    read |= {h.source for h in network.host}

    def role(index: int) -> Role:
        node, multiply = nodes[index], nodes[index].layer.multiply
        if multiply.product != "none":
            return "product"
        if network.input in node.sources or node.output == network.output:
            return "first" if network.input in node.sources else "last"
        if multiply.op != "linear" and node.output not in read:
            return "skip"
        return "downsample" if multiply.stride > 1 else "body"
    return tuple(role(index) for index in range(len(nodes)))


def with_formats(network: Network, formats: Formats) -> Network:
    """`network` with the format of every layer by its role."""
    nodes = (replace(node, layer=with_format(
        node.layer, formats.of(role, node.layer.multiply.op == "linear")))
        for node, role in zip(network.nodes, roles(network), strict=True))
    return replace(network, nodes=tuple(nodes))
