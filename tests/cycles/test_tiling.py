"""Tile plans: within every limit, and refused with a clear error when nothing fits."""

import random
from dataclasses import replace

import pytest

from hqdm.cycles.run import DEFAULT_MEMORY, at_least, run
from hqdm.cycles.tiling import (
    candidates,
    hardware_order,
    plan,
    rotation_words,
    tile_source_rows,
    word_count,
)
from hqdm.golden.random import random_layer
from hqdm.spec import Layer, Load, Multiply, config_by_name
from hqdm.spec.fixed import nibbles, required_operand_bits


def conv(channels, out, height, width, axis="none", order=0, **options):
    return Layer(
        name="conv",
        load=Load(channels=channels, height=height, width=width, axis=axis, order=order),
        multiply=Multiply(op="conv3x3", out_channels=out, padding=1, **options))


def naive_rows(layer, tile_rows):
    """Source rows of each tile, by listing the rows every tap touches."""
    load, multiply, rows = layer.load, layer.multiply, []
    for first in range(0, layer.out_height, tile_rows):
        touched = set()
        for y in range(first, min(first + tile_rows, layer.out_height)):
            for dy in range(multiply.kernel):
                row = y * multiply.stride + dy - multiply.padding
                if 0 <= row < load.height * load.upsample:
                    touched.add(row // load.upsample)
        rows.append(max(touched) - min(touched) + 1)
    return rows


@pytest.mark.parametrize("name", ["n4", "n8", "n16"])
@pytest.mark.parametrize("seed", range(20))
def test_within_limits(name, seed):
    config = config_by_name(name)
    layer = random_layer(random.Random(seed), config)
    tiles = plan(layer, config)
    assert 1 <= tiles.tile_rows <= layer.out_height
    assert tiles.tile_rows * layer.out_width <= config.acc_words
    rows = naive_rows(layer, tiles.tile_rows)
    assert rows == tile_source_rows(layer, tiles.tile_rows)
    assert tiles.plane_words == max(rows) * layer.load.width
    operands = nibbles(layer.load.bits) * tiles.chunk_words * tiles.plane_words
    assert operands <= config.buffer_words
    words = word_count(layer, config)
    assert (tiles.chunks - 1) * tiles.chunk_words < words <= tiles.chunks * tiles.chunk_words
    if tiles.chunks > 1:
        assert tiles.chunk_words % rotation_words(layer, config) == 0
    bits = required_operand_bits(layer.load.bits, hardware_order(layer), layer.load.ranged)
    assert bits <= config.operand_bits


@pytest.mark.parametrize("name", ["n16", "n32"])
@pytest.mark.parametrize("layer", [
    conv((64,), 64, 32, 32, "width", 5),
    conv((192,), 192, 32, 32, "channel", 5),
    Layer(name="linear", load=Load(channels=(384,), height=1024, width=1, axis="channel", order=5),
          multiply=Multiply(op="linear", out_channels=1536)),
])
def test_estimate_of_large_layers(name, layer):
    config = config_by_name(name)
    assert layer.macs / config.n ** 2 / plan(layer, config).cycles > 0.97


def test_upsampled_width_rotation_is_one_order_less():
    load = Load(channels=(4,), height=2, width=8, upsample=2, axis="width", order=4)
    layer = Layer(name="up", load=load, multiply=Multiply(op="conv1x1", out_channels=4))
    assert hardware_order(layer) == 3
    load = Load(channels=(4,), height=2, width=8, upsample=2, axis="channel", order=2)
    layer = Layer(name="up", load=load, multiply=Multiply(op="conv1x1", out_channels=4))
    assert hardware_order(layer) == 2


def test_chunks_hold_whole_rotation_blocks():
    tiles = plan(conv((64, 64), 4, 10, 20, "channel", 6), config_by_name("n4"))
    assert tiles.chunk_words == 16 and tiles.chunks == 2    # 64 channels are 16 words of 4


def linear(rows, channels):
    return Layer(name="linear", load=Load(channels=(channels,), height=rows, width=1),
                 multiply=Multiply(op="linear", out_channels=4))


def test_a_plan_fills_the_buffers_to_the_last_word_and_no_further():
    """n4: 256 accumulators and 1024 operand words a half; 256 rows of 4 words are just
    that, 205 rows of 5 one more."""
    config = config_by_name("n4")
    assert (config.acc_words, config.buffer_words) == (256, 1024)
    for rows, words in ((256, 4), (257, 4), (205, 5), (41, 25), (256, 5), (1024, 1), (255, 4)):
        plans = {(t.tile_rows, t.chunk_words) for t in candidates(linear(rows, 4 * words), config)}
        assert plans
        assert all(tile <= 256 and tile * chunk <= 1024 for tile, chunk in plans)
        assert ((rows, words) in plans) == (rows <= 256 and rows * words <= 1024)


def test_a_row_fills_the_buffers_to_the_last_word_and_no_further():
    """A tile is a row at least: 256 pixels of 4 words go into n4, 257 pixels or 5 words do not."""
    def row(width, words):
        load = Load(channels=(4 * words,), height=1, width=width)
        return Layer(name="row", load=load, multiply=Multiply(op="conv1x1", out_channels=4))

    config = config_by_name("n4")
    full = plan(row(256, 4), config)
    assert full.plane_words * full.chunk_words <= config.buffer_words
    assert (1, 4) in {(t.tile_rows, t.chunk_words) for t in candidates(row(256, 4), config)}
    assert {t.chunk_words for t in candidates(row(256, 5), config)} == {1, 2, 3}
    with pytest.raises(ValueError, match=r"needs 257 accumulator words \(has 256\)"):
        plan(row(257, 4), config)


def test_refusal_names_need_and_a_preset_that_does():
    with pytest.raises(ValueError, match=(
            r"conv: does not fit n4: the smallest tile needs 400 accumulator words \(has 256\), "
            r"1200 operand buffer words \(has 1024\).*; it fits n8, n16, n32, n64")):
        plan(conv((3,), 4, 8, 400), config_by_name("n4"))


def test_refusal_when_no_preset_does():
    with pytest.raises(ValueError, match=r"does not fit n16.*it fits no preset"):
        plan(conv((3,), 4, 8, 5000), config_by_name("n16"))


def test_free_bounds_need_a_bit_more():
    """Order 6 at 4 bits needs 11; 3 bits fit, and so does an upsampled row, rotated at order 5."""
    load = Load(channels=(4,), height=2, width=64, axis="width", order=6, ranged=True)
    layer = Layer(name="free", load=load, multiply=Multiply(op="conv1x1", out_channels=4))
    with pytest.raises(ValueError, match=r"free: does not fit n16.*and 11-bit operands \(has 10\)"):
        plan(layer, config_by_name("n16"))
    for changes in ({"bits": 3}, {"order": 5}, {"ranged": False}, {"width": 32, "upsample": 2}):
        plan(replace(layer, load=replace(load, **changes)), config_by_name("n16"))


@pytest.mark.parametrize("name", ["n4", "n16"])
def test_no_plan_takes_fewer_cycles_than_its_bound(name):
    """A plan whose bound is above the best one's cost is not followed; so the bound must be one."""
    config, draw = config_by_name(name), random.Random(5)
    close = 0
    for _ in range(30):
        layer = replace(random_layer(draw, config), name="")
        for tiles in list(candidates(layer, config))[:4]:
            least, beats = at_least(layer, config, tiles)
            found = run(layer, config, tiles, DEFAULT_MEMORY)
            assert least <= found.cycles and beats == found.beats
            close += least > 0.5 * found.cycles
    assert close > 20       # it would say nothing if it were far below
