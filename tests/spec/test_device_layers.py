"""What the core runs for a node: heads one by one, many rows as the pixels of an image."""

import pytest

from hqdm.spec import Layer, Load, Multiply, Node
from hqdm.spec.device_layers import device_layers


def node(multiply, *, channels, rows):
    layer = Layer(name="l", load=Load(channels=(channels,), height=rows, width=1, bits=8),
                  multiply=multiply)
    return Node(layer=layer, sources=("a",), output="b",
                weights=None if multiply.product == "none" else "w")


def linear(out, **options):
    return Multiply(op="linear", out_channels=out, bits=8, **options)


def test_heads_times_keys_is_no_dimension():
    """Eight heads of 9,216 keys: 73,728 scores a row, 9,216 in each of eight layers."""
    scores = device_layers(node(linear(73_728, product="scores", heads=8), channels=64, rows=9216))
    mix = device_layers(node(linear(64, product="mix", heads=8), channels=73_728, rows=9216))
    assert len(scores) == len(mix) == 8
    assert {layer.multiply.out_channels for layer in scores} == {9216}
    assert {layer.load.channels for layer in mix} == {(9216,)}
    assert {layer.name for layer in mix} == {f"l.head{i}" for i in range(8)}


@pytest.mark.parametrize(("rows", "size"), [
    (65_535, (65_535, 1)), (65_536, (32_768, 2)), (65_537 * 4, None), (196_608, (49_152, 4)),
    (1_048_576, (65_536 // 2, 32))])
def test_rows_are_pixels(rows, size):
    """The narrowest image of so many pixels: the same bytes, the same products."""
    if size is None:
        with pytest.raises(ValueError, match=rf"l: rows: wanted 1\.\.65535, or a pro.* got {rows}"):
            node(linear(8), channels=8, rows=rows)
        return
    (layer,) = device_layers(node(linear(8), channels=8, rows=rows))
    assert (layer.load.height, layer.load.width) == size
    assert layer.multiply.op == ("linear" if size[1] == 1 else "conv1x1")
    assert layer.macs == rows * 64 and layer.out_height * layer.out_width == rows


def test_the_limits_of_a_head():
    """As many channels as the smallest core has words for, and no more."""
    for heads in (1, 3):
        most = 262_140 * heads
        options = {"product": "scores", "heads": heads} if heads > 1 else {}
        node(linear(most, **options), channels=3, rows=1)
        with pytest.raises(ValueError, match=r"out_channels: wanted an integer in 1\.\.262140,"):
            node(linear(most + heads, **options), channels=3, rows=1)
    with pytest.raises(ValueError, match=r"l: channels: wanted an integer in 1\.\.262140, got 26"):
        node(Multiply(op="linear", out_channels=1, bits=2), channels=262_141, rows=1)
