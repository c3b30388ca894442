from dataclasses import FrozenInstanceError, replace

import pytest

from hqdm.spec import Layer, Load, Multiply, Store, effective_order

LOAD = Load(channels=(64,), height=16, width=16)
CONV = Multiply(op="conv3x3", out_channels=8, padding=1)


@pytest.mark.parametrize(("dimension", "order"), [
    (1, 0), (2, 1), (12, 2), (48, 4), (192, 5), (960, 5), (7, 0)])
def test_the_order_is_limited_by_the_trailing_zeros(dimension, order):
    assert effective_order(5, dimension) == order


@pytest.mark.parametrize(("changes", "text"), [
    ({"channels": ()}, r"channels: wanted a tuple of 1 or 2 sources, got \(\)"),
    ({"channels": (1, 2, 3)}, "channels: wanted a tuple of 1 or 2 sources"),
    ({"channels": [4]}, r"channels: wanted a tuple of 1 or 2 sources, got \[4\]"),
    ({"channels": (0,)}, r"channels: wanted an integer in 1\.\.262140, got 0"),
    ({"height": 0}, r"height: wanted an integer in 1\.\.65535, got 0"),
    ({"width": 65536}, r"width: wanted an integer in 1\.\.65535, got 65536"),
    ({"width": 4.0}, r"width: wanted an integer in 1\.\.65535, got 4\.0"),
    ({"upsample": 4}, r"upsample: wanted one of \(1, 2\), got 4"),
    ({"axis": "height"}, r"axis: wanted one of \('none', 'channel', 'width'\), got 'height'"),
    ({"bits": 5}, r"activation bits: wanted one of \(2, 3, 4, 8\) bits, got 5"),
    ({"bits": 8, "ranged": True}, "ranged: wanted 2, 3 or 4 bits, got 8"),
    ({"order": 1}, r"order: wanted 0\.\.0 along none of length 1, got 1"),
    ({"axis": "channel", "order": 7}, r"order: wanted 0\.\.6 along channel of length 64, got 7"),
    ({"axis": "width", "order": 5}, r"order: wanted 0\.\.4 along width of length 16, got 5"),
    ({"axis": "channel", "channels": (64, 48), "order": 5},
     r"order: wanted 0\.\.4 along channel of length 16, got 5"),
    ({"axis": "channel", "order": -1}, r"order: wanted 0\.\.6 .*, got -1"),
])
def test_bad_loads_are_refused(changes, text):
    with pytest.raises(ValueError, match=text):
        replace(LOAD, **changes)


def test_free_bounds_raise_the_bound_of_the_sums():
    layer = Layer(name="l", load=replace(LOAD, axis="width", order=4), multiply=CONV)
    free = replace(layer, load=replace(layer.load, ranged=True))
    assert (layer.load.magnitude, free.load.magnitude) == (7, 15)
    assert layer.partial_sum_bound * 15 == free.partial_sum_bound * 7


def test_upsampling_lengthens_the_row_that_is_rotated():
    assert replace(LOAD, upsample=2, axis="width", order=5).order == 5


@pytest.mark.parametrize(("changes", "text"), [
    ({"op": "conv5x5"}, r"op: wanted one of \('linear', 'conv1x1', 'conv3x3'\), got 'conv5x5'"),
    ({"out_channels": 0}, "out_channels: wanted an integer"),
    ({"stride": 3}, r"stride: wanted one of \(1, 2\), got 3"),
    ({"padding": 2}, r"padding: wanted one of \(0, 1\), got 2"),
    ({"op": "conv1x1"}, r"padding: wanted one of \(0,\), got 1"),
    ({"op": "linear", "padding": 0, "stride": 2}, r"stride: wanted one of \(1,\), got 2"),
    ({"bits": 1}, r"weight bits: wanted one of \(2, 3, 4, 8\) bits, got 1"),
])
def test_bad_multiplies_are_refused(changes, text):
    with pytest.raises(ValueError, match=text):
        replace(CONV, **changes)


def test_a_bad_residual_is_refused():
    with pytest.raises(ValueError, match=r"residual: wanted one of .*, got 'multiply'"):
        Store(residual="multiply")


@pytest.mark.parametrize(("load", "multiply", "text"), [
    (LOAD, Multiply(op="linear", out_channels=8),
     "l: linear wants width 1 and upsample 1, got width 16 and upsample 1"),
    (replace(LOAD, height=2), replace(CONV, padding=0),
     "l: wanted an output height of at least 1, got 0; the input is smaller than the kernel"),
    (replace(LOAD, width=1), replace(CONV, padding=0), "l: wanted an output width of at least 1"),
    (replace(LOAD, channels=(1 << 10,), axis="channel", order=6, bits=8),
     replace(CONV, bits=8),
     "l: wanted partial sums within int32, got a bound of 9545711616: fewer bits, a lower"),
])
def test_parts_that_do_not_fit_together_are_refused(load, multiply, text):
    with pytest.raises(ValueError, match=text):
        Layer(name="l", load=load, multiply=multiply)


def test_the_tables_have_at_least_one_timestep():
    with pytest.raises(ValueError, match=r"timesteps: wanted an integer in 1\.\.65535, got 0"):
        Layer(name="l", load=LOAD, multiply=CONV, timesteps=0)


@pytest.mark.parametrize(("size", "upsample", "stride", "padding", "out"), [
    (16, 1, 1, 1, 16), (16, 1, 2, 1, 8), (16, 1, 1, 0, 14), (5, 1, 2, 0, 2), (5, 1, 2, 1, 3),
    (5, 2, 1, 1, 10), (5, 2, 2, 1, 5), (1, 1, 1, 1, 1), (1, 2, 2, 1, 1)])
def test_output_size(size, upsample, stride, padding, out):
    layer = Layer(name="l", load=replace(LOAD, height=size, width=size, upsample=upsample),
                  multiply=replace(CONV, stride=stride, padding=padding))
    assert layer.out_height == layer.out_width == out
    assert layer.macs == out * out * 8 * 64 * 9


@pytest.mark.parametrize(("order", "weights", "bound"), [
    (5, 4, 30_965_760), (6, 4, 61_931_520), (5, 2, 7_741_440)])
def test_the_deepest_layer_of_the_models_fits_27_bits(order, weights, bound):
    """docs/numerics.md, section 7: K = 17,280."""
    layer = Layer(
        name="l", load=replace(LOAD, channels=(1920,), axis="channel", order=order),
        multiply=replace(CONV, bits=weights))
    assert layer.depth == 17_280
    assert layer.partial_sum_bound == bound < 1 << 26


def test_layers_are_frozen():
    layer = Layer(name="l", load=LOAD, multiply=CONV)
    with pytest.raises(FrozenInstanceError):
        layer.timesteps = 2
