"""Bits and rotation by role, and how far a layer may be rotated."""

from dataclasses import replace
from typing import get_args

import pytest

from hqdm.learn.qat.methods import METHODS, make_method
from hqdm.spec import Layer, Load, Multiply, Network, Node, Store, TensorSpec
from hqdm.spec.fixed import sum_magnitude
from hqdm.spec.precision import (
    Format,
    Formats,
    Role,
    roles,
    rotation,
    with_format,
    with_formats,
)

# of each method: axis of convolutions and of linear layers, free bounds
ROTATIONS = {"hqdm": ("width", "channel", False), "efficientdm": ("none", "none", True),
             "double-hadamard": ("channel", "channel", False), "ptq": ("none", "none", False)}
# of each role: at few bits, rotated
TABLE = {"first": (False, False), "last": (False, False), "time": (False, False),
         "condition": (False, False), "product": (False, False), "skip": (False, True),
         "downsample": (False, True), "unused": (True, False), "body": (True, True)}


def test_the_tables_have_every_method_and_role():
    assert METHODS.keys() == ROTATIONS.keys() and set(get_args(Role)) == TABLE.keys()


@pytest.mark.parametrize("method", ROTATIONS)
@pytest.mark.parametrize("role", TABLE)
@pytest.mark.parametrize("linear", [False, True])
def test_formats_by_role_and_method(method, role, linear):
    few, rotated = TABLE[role]
    convolution, other, ranged = ROTATIONS[method]
    axis = (other if linear else convolution) if rotated else "none"
    assert make_method(method, weights=3, activations=2).formats.of(role, linear) == Format(
        weight_bits=3 if few else 8, activation_bits=2 if few else 8, axis=axis,
        order=0 if axis == "none" else 5, ranged=few and ranged)


def test_bits_of_the_edges_are_a_minimum():
    formats = Formats(weight_bits=8, activation_bits=8, edge_bits=4, ranged=True)
    assert formats.of("skip", linear=False) == Format(axis="width", order=5)
    assert not formats.of("body", linear=False).ranged
    assert Formats(order=0).of("body", linear=True).axis == "none"


@pytest.mark.parametrize(("options", "text"), [
    ({"order": 7}, r"order: wanted 0..6, got 7"), ({"order": -1}, r"order: wanted 0..6, got -1"),
    ({"weight_bits": 5}, r"weight bits: wanted one of \(2, 3, 4, 8\) bits, got 5"),
    ({"activation_bits": 1}, r"activation bits: wanted one of .* got 1"),
    ({"edge_bits": 16}, r"edge bits: wanted one of .* got 16")])
def test_formats_that_no_layer_has(options, text):
    with pytest.raises(ValueError, match=text):
        Formats(**options)


@pytest.mark.parametrize(("axis", "order", "channels", "width", "bound", "wanted"), [
    ("channel", 5, (64,), 9, 1, ("channel", 5)), ("channel", 6, (64, 16), 9, 1, ("channel", 4)),
    ("width", 5, (3,), 24, 1, ("width", 3)), ("width", 5, (64,), 9, 1, ("none", 0)),
    ("none", 5, (64,), 64, 1, ("none", 0)), ("channel", 0, (64,), 9, 1, ("none", 0)),
    ("channel", 5, (64,), 9, (1 << 26) - 1, ("channel", 5)),    # 31 bits, and one order too many
    ("channel", 6, (64,), 9, (1 << 26) - 1, ("channel", 5)),
    ("channel", 5, (64,), 9, 1 << 26, ("channel", 4)),
    ("channel", 5, (64,), 9, 1 << 31, ("none", 0))])
def test_the_rotation_a_layer_admits(axis, order, channels, width, bound, wanted):
    assert rotation(axis, order, channels=channels, width=width, bound=bound) == wanted


def test_a_deep_downsampling_at_eight_bits_is_rotated_less():
    """576 channels, 3x3, 8 x 8 bits: 32 points could leave int32, 16 cannot."""
    layer = Layer(name="deep", load=Load(channels=(576,), height=16, width=16),
                  multiply=Multiply(op="conv3x3", out_channels=576, stride=2, padding=1))
    chosen = Formats(convolution="channel").of("downsample", linear=False)
    got = with_format(layer, chosen)
    assert (got.load.axis, got.load.order, got.load.bits, got.multiply.bits) == ("channel", 4, 8, 8)
    assert got.partial_sum_bound == sum_magnitude(576 * 9, 8, 8) << 4 < 1 << 31
    with pytest.raises(ValueError, match="wanted partial sums within int32"):
        replace(got, load=replace(got.load, order=5))


def convolution(name, sources, output, *, op="conv3x3", stride=1, second=None, size=16):
    load = Load(channels=(32,) * len(sources), height=size, width=size)
    multiply = Multiply(op=op, out_channels=32, stride=stride, padding=int(op == "conv3x3"))
    store = Store(residual="none" if second is None else "add")
    return Node(layer=Layer(name=name, load=load, multiply=multiply, store=store),
                sources=sources, output=output, second=second)


def small():
    """Input, a residual block with a shortcut, downsampling, output."""
    sizes = {"x": 16, "a": 16, "b": 16, "c": 16, "d": 16, "e": 8, "y": 8}
    return Network(
        name="small", input="x", output="y", timesteps=1,
        tensors=tuple(TensorSpec(name=n, channels=32, height=s, width=s)
                      for n, s in sizes.items()),
        nodes=(convolution("in", ("x",), "a"), convolution("conv1", ("a",), "b"),
               convolution("shortcut", ("a",), "c", op="conv1x1"),
               convolution("conv2", ("b",), "d", second="c"),
               convolution("down", ("d",), "e", stride=2),
               convolution("out", ("e",), "y", size=8)))


def test_roles_are_told_by_structure():
    assert roles(small()) == ("first", "body", "skip", "body", "downsample", "last")


def test_formats_of_a_network():
    found = with_formats(small(), Formats(weight_bits=2, activation_bits=3))
    got = [(n.layer.multiply.bits, n.layer.load.bits, n.layer.load.axis, n.layer.load.order)
           for n in found.nodes]
    edge, body, rotated = (8, 8, "none", 0), (2, 3, "width", 4), (8, 8, "width", 4)
    assert got == [edge, body, rotated, body, rotated, edge]
    assert with_formats(found, Formats(weight_bits=2, activation_bits=3)) == found
    assert with_formats(found, Formats(order=0)) == with_formats(small(), Formats(order=0))
