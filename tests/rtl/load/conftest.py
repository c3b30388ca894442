"""Harness of the load pipeline tests: drives `Beat` ports under a clock enable."""

import random
from collections.abc import Iterable

import pytest
from amaranth.sim import Simulator

from hqdm.sim.load_case import Row, Stream


class Pipeline:
    """One pipeline stage in the simulator: streams in, transformed streams out.

    Parameters
    ----------
    dut: component with `advance`, `i`, `o`.
    gaps: probability of a cycle with `advance` low.
    seed: of the gaps.
    """

    def __init__(self, dut, gaps: float = 0.0, seed: int = 0):
        print("seed", seed)
        self.dut, self.gaps, self.rng = dut, gaps, random.Random(seed)

    def run(self, streams: Iterable[tuple[Stream, int]]) -> tuple[list[tuple[int, Row]], list[int]]:
        """Drive the streams one after the other, each followed by so many invalid beats.

        Returns (outputs, arrivals): the valid beats and the advance in which each came out,
        counted from the first advance on.
        """
        outputs, arrivals = [], []

        async def bench(ctx):
            dut, now = self.dut, 0
            for stream, flush in streams:
                for name, value in stream.settings.items():
                    ctx.set(getattr(dut, name), value)
                for beat in [*stream.beats, *[None] * flush]:
                    await self._gap(ctx)
                    self._drive(ctx, beat)
                    if ctx.get(dut.o.valid):
                        outputs.append(self._sample(ctx))
                        arrivals.append(now)
                    await ctx.tick()
                    now += 1

        sim = Simulator(self.dut)
        sim.add_clock(1e-6)
        sim.add_testbench(bench)
        sim.run()
        return outputs, arrivals

    async def _gap(self, ctx):
        while self.rng.random() < self.gaps:
            ctx.set(self.dut.advance, 0)
            ctx.set(self.dut.i.valid, self.rng.getrandbits(1))
            await ctx.tick()

    def _drive(self, ctx, beat):
        ctx.set(self.dut.advance, 1)
        ctx.set(self.dut.i.valid, beat is not None)
        nibble, data = beat or (self.rng.getrandbits(1), [-3] * len(self.dut.i.data))
        ctx.set(self.dut.i.nibble, nibble)
        for port, value in zip(self.dut.i.data, data, strict=True):
            ctx.set(port, value)

    def _sample(self, ctx):
        return ctx.get(self.dut.o.nibble), [ctx.get(port) for port in self.dut.o.data]


@pytest.fixture
def pipeline():
    """The class `Pipeline` (test modules cannot import each other)."""
    return Pipeline
