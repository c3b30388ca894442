"""hqdm.rtl.product against `*`, one product per cycle."""

import random

import pytest
from amaranth import *
from amaranth.sim import Simulator

from hqdm.rtl.product import LATENCY, product


def products(width: int, other: int, pairs: list[tuple[int, int]]) -> list[int]:
    m = Module()
    a, b = Signal(signed(width)), Signal(other)
    out = Signal(signed(width + other))
    m.d.comb += out.eq(product(m, a, b, "p"))
    found = []

    async def bench(ctx):
        for x, y in [*pairs, *[(0, 0)] * LATENCY]:
            ctx.set(a, x)
            ctx.set(b, y)
            found.append(ctx.get(out))
            await ctx.tick()

    sim = Simulator(m)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    return found[LATENCY:]


@pytest.mark.parametrize("width, other", [(22, 17), (24, 14), (32, 16), (36, 17)])
def test_extremes_and_random_numbers(width, other):
    print("seed", width)
    rng = random.Random(width)
    top, high = 1 << (width - 1), (1 << other) - 1
    ends = (-top, top - 1, -1, 0, 1, 1 << 17, (1 << 18) - 1, -(1 << 18), 1 << 18)
    pairs = [(x, y) for x in ends for y in (0, 1, 1 << (other - 1), high)]
    pairs += [(rng.randrange(-top, top), rng.randrange(high + 1)) for _ in range(300)]
    assert products(width, other, pairs) == [x * y for x, y in pairs]
