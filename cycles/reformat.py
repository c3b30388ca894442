"""Other bits and rotations for a network of shapes."""

from dataclasses import replace

from hqdm.spec import Network, Node
from hqdm.spec.layer import Axis, Load


def reformat(network: Network, *, weight_bits: int = 4, activation_bits: int = 4,
             convolution: Axis = "width", linear: Axis = "channel", order: int = 5) -> Network:
    """`network` with these bits and rotations wherever the mixed format has 4 bits.

    What is at 8 bits (first and last convolution, shortcuts, downsampling, products of attention)
    stays there.

    Parameters
    ----------
    network: lowered in the default formats (`hqdm.firmware.compile.lowering.mixed_formats()`).
    convolution, linear: axis of the rotation of convolutions and of linear layers.
    order: wanted log2 of the block; each layer takes what its axis admits.

    Raises
    ------
    ValueError: bits, axis or order that no layer has.
    """
    if not 0 <= order <= 6:
        raise ValueError(f"order: wanted 0..6, got {order}")

    def change(node: Node) -> Node:
        layer = node.layer
        if layer.load.bits == 8:
            return node
        axis = linear if layer.multiply.op == "linear" else convolution
        return replace(node, layer=replace(
            layer, load=_rotated(replace(layer.load, bits=activation_bits, axis="none", order=0),
                                 axis, order),
            multiply=replace(layer.multiply, bits=weight_bits)))
    return replace(network, nodes=tuple(map(change, network.nodes)))


def _rotated(load: Load, axis: Axis, order: int) -> Load:
    """`load` with the largest order up to `order` that the axis admits."""
    order = min(order, load.max_order(axis))
    return replace(load, axis=axis if order else "none", order=order)
