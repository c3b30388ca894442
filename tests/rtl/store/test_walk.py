"""TileWalk against the loop nest of docs/architecture.md."""

import random

import pytest
from amaranth.sim import Simulator

from hqdm.rtl.store.walk import TileWalk
from hqdm.spec import PRESETS

CONFIG = PRESETS["n8"]
BASE = 0x4000


def loops(height: int, width: int, words: int, tile_rows: int) -> list[tuple[int, ...]]:
    """(pixel, address, last pixel, last word, last tile) in the order of the nest."""
    visits = []
    for y0 in range(0, height, tile_rows):
        rows = min(tile_rows, height - y0)
        for o in range(words):
            for pixel in range(rows * width):
                address = BASE + ((y0 * width + pixel) * words + o) * CONFIG.word_bytes
                visits.append((pixel, address, pixel == rows * width - 1, o == words - 1,
                               y0 + rows == height))
    return visits


def walk(height: int, width: int, words: int, tile_rows: int, skip: bool,
         seed: int) -> list[tuple[int, ...]]:
    """What the walk shows, advanced as early as it may be, or a little later."""
    dut, rng, visits = TileWalk(CONFIG), random.Random(seed), []
    advance = dut.skip if skip else dut.step

    async def testbench(ctx):
        for name, value in (("out_height", height), ("out_width", width), ("out_words", words),
                            ("tile_rows", tile_rows)):
            ctx.set(getattr(dut.layer, name), value)
        ctx.set(dut.base, BASE)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        entered = True
        while ctx.get(dut.active):
            assert len(visits) < 10000, "the walk does not end"
            await ctx.tick().repeat((dut.SETTLE if entered else 2) - 1 + rng.choice((0, 0, 1, 3)))
            visits.append(tuple(ctx.get(signal) for signal in (
                dut.pixel, dut.address, dut.last_pixel, dut.last_word, dut.last_tile)))
            entered = skip or ctx.get(dut.last_pixel)
            ctx.set(advance, 1)
            await ctx.tick()
            ctx.set(advance, 0)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    return visits


@pytest.mark.parametrize("shape", [
    (1, 1, 1, 1), (5, 3, 2, 2), (4, 4, 3, 4), (6, 1, 1, 3), (7, 2, 5, 3), (3, 9, 4, 1),
])
def test_walk_is_the_loop_nest(shape):
    assert walk(*shape, skip=False, seed=1) == loops(*shape)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (5, 3, 2, 2), (7, 2, 5, 3)])
def test_skip_visits_every_output_word_once(shape):
    wanted = [(word, tile) for pixel, _, _, word, tile in loops(*shape) if pixel == 0]
    assert [visit[3:] for visit in walk(*shape, skip=True, seed=2)] == wanted
