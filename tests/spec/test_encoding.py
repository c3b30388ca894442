"""Layers as descriptors and back."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hqdm.golden.random import random_layer
from hqdm.spec import PRESETS, Layer, Load, Multiply, Store, StoreStages
from hqdm.spec.encoding import (
    RESIDUALS,
    StepScales,
    decode_layer,
    decode_step,
    encode_descriptor,
    encode_step,
)
from hqdm.spec.fixed import MAX_SHIFT, quantised_magnitude
from hqdm.spec.loop_nest import TilePlan

PLAN = TilePlan(tile_rows=1, chunk_words=2, chunks=3, plane_words=4, cycles=0)
PLACES = {"second": 0x40, "output": 0x80, "weights": 0xC0, "multipliers": 0x100, "steps": 0x140}


def encode(layer, config, channel_shift=20, sources=(0x200, 0x240)):
    return encode_descriptor(layer, config, PLAN, channel_shift=channel_shift,
                             sources=sources[:len(layer.load.channels)], **PLACES)


def scales_of(layer, rng):
    load = layer.load
    high = rng.randint(0, load.magnitude) if load.ranged else load.quant_max
    low = high - load.magnitude if load.ranged else -high
    return StepScales(
        load_multiplier=rng.randint(1, 65535), load_shift=rng.randint(1, MAX_SHIFT),
        load_low=low, load_high=high, step_multiplier=rng.randint(1, 65535),
        step_shift=rng.randint(0, MAX_SHIFT), residual_shift=rng.randint(-15, 15))


def on_device(layer, config):
    """What the core knows of a layer: padded channels, no name, one timestep."""
    def pad(channels):
        return config.words(channels) * config.n

    load, multiply = layer.load, layer.multiply
    return replace(
        layer, name="device", timesteps=1,
        load=replace(load, channels=tuple(pad(c) for c in load.channels),
                     axis=load.axis if load.order else "none"),
        multiply=replace(multiply, out_channels=pad(multiply.out_channels),
                         op="conv3x3" if multiply.kernel == 3 else "conv1x1"))


def check(layer, config, rng):
    """Layer and scales come back; both encode to the same bytes again."""
    scales = scales_of(layer, rng)
    descriptor, entry = encode(layer, config), encode_step(layer, scales, 0x280)
    assert descriptor.first_illegal(config, descriptor) is None
    assert entry.first_illegal(config, descriptor) is None
    found = decode_layer(descriptor, entry, config.n)
    assert decode_step(found, entry) == scales
    wanted, load = on_device(layer, config), found.load
    if layer.load.ranged:       # as few bits as have these bounds
        assert (load.bits, load.ranged) == (layer.load.bits, True) or (
            scales.load_high == -scales.load_low == load.quant_max)
        wanted = replace(wanted, load=replace(wanted.load, bits=load.bits, ranged=load.ranged))
    assert found == wanted
    assert encode_step(found, scales, 0x280) == entry
    assert encode(found, config) == replace(descriptor, timesteps=1)


@given(st.integers(0, 1 << 32), st.sampled_from(["n4", "n8", "n16"]))
def test_random_layers(seed, name):
    rng, config = random.Random(seed), PRESETS[name]
    check(random_layer(rng, config), config, rng)


BASE = Layer(name="x", load=Load(channels=(8,), height=6, width=8),
             multiply=Multiply(op="conv3x3", out_channels=8, padding=1))


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("ranged", [False, True])
@pytest.mark.parametrize("load", [
    {}, {"channels": (8, 16)}, {"upsample": 2}, {"axis": "channel", "order": 3},
    {"axis": "width", "order": 1}, {"axis": "width", "order": 3},
    {"axis": "width", "order": 4, "upsample": 2}, {"axis": "width", "order": 1, "upsample": 2},
    {"axis": "channel", "order": 2, "upsample": 2}, {"axis": "width"}])
def test_every_load(load, bits, ranged):
    if bits < 8 or not ranged:
        layer = replace(BASE, load=replace(BASE.load, bits=bits, ranged=ranged, **load))
        check(layer, PRESETS["n8"], random.Random(bits))


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("changes", [
    {}, {"stride": 2}, {"padding": 0}, {"op": "conv1x1", "padding": 0},
    {"op": "conv1x1", "padding": 0, "stride": 2}])
def test_every_multiply(changes, bits):
    check(replace(BASE, multiply=replace(BASE.multiply, bits=bits, **changes)), PRESETS["n8"],
          random.Random(bits))


@pytest.mark.parametrize("store", [
    *(Store(residual=r) for r in RESIDUALS), Store(stages=StoreStages(row_scale=True))])
def test_every_store(store):
    check(replace(BASE, store=store, timesteps=7), PRESETS["n8"], random.Random(0))


def test_linear_layers_are_convolutions_of_one_column():
    layer = Layer(name="x", load=Load(channels=(8,), height=6, width=1),
                  multiply=Multiply(op="linear", out_channels=8))
    check(layer, PRESETS["n8"], random.Random(0))
    descriptor = encode(layer, PRESETS["n8"])
    assert (descriptor.kernel, descriptor.width) == (1, 1)


def test_codes_of_the_second_operand():
    assert RESIDUALS == ("none", "add", "subtract")


def test_addresses_plan_and_words():
    layer = replace(BASE, load=replace(BASE.load, channels=(9, 20)), timesteps=5)
    d = encode(layer, PRESETS["n8"], channel_shift=33)
    assert {name: getattr(d, name) for name in PLACES} == PLACES
    assert (d.source0, d.source1, d.channel_shift, d.timesteps) == (0x200, 0x240, 33, 5)
    assert (d.words0, d.words1, d.row_bytes0, d.row_bytes1) == (2, 3, 256, 384)
    assert (d.tile_rows, d.chunk_words, d.chunks, d.plane_words) == (1, 2, 3, 4)
    one = encode(BASE, PRESETS["n8"])
    assert (one.source1, one.words1, one.row_bytes1) == (0, 0, 0)


def test_a_folded_order_is_taken_off_the_shift():
    load = replace(BASE.load, axis="width", order=4, upsample=2)
    layer = replace(BASE, load=load)
    scales = replace(scales_of(layer, random.Random(0)), load_shift=1)
    assert encode_step(layer, scales, 0).load_shift == 0
    assert encode(layer, PRESETS["n8"]).order == 3


@pytest.mark.parametrize(("low", "high", "found"), [
    (1, 1, (2, False)), (3, 3, (3, False)), (7, 7, (4, False)), (0, 3, (2, True)),
    (2, 2, (3, True)), (0, 0, (2, True)), (8, 7, (4, True)), (15, 0, (4, True))])
def test_fewest_bits_with_these_bounds(low, high, found):
    entry = replace(encode_step(BASE, scales_of(BASE, random.Random(0)), 0), low=low, high=high)
    load = decode_layer(encode(BASE, PRESETS["n8"]), entry, 8).load
    assert (load.bits, load.ranged) == found
    assert low + high <= 2 * load.magnitude and max(low, high) <= quantised_magnitude(4, True)


def test_what_is_no_layer():
    entry = encode_step(BASE, scales_of(BASE, random.Random(0)), 0)
    descriptor = encode(BASE, PRESETS["n8"])
    with pytest.raises(ValueError, match=r"bounds: wanted at most 16 levels, got -8\.\.8"):
        decode_layer(descriptor, replace(entry, low=8, high=8), 8)
    with pytest.raises(ValueError, match="order: wanted"):
        decode_layer(replace(descriptor, order=6), entry, 8)
