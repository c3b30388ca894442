"""Memories: size, contents at first, and attributes."""

from amaranth import *
from amaranth.sim import Simulator

from hqdm.rtl.memories import BLOCK, memory


def test_a_memory_is_zero_at_first_and_keeps_what_is_written():
    m = Module()
    m.submodules.block = block = memory(4, 2, **BLOCK)
    assert block.shape == 4 and block.depth == 2 and block.attrs == BLOCK
    write, read = block.write_port(), block.read_port(domain="comb")

    async def testbench(ctx):
        assert ctx.get(read.data) == 0
        ctx.set(write.en, 1)
        ctx.set(write.data, 9)
        await ctx.tick()
        assert ctx.get(read.data) == 9

    sim = Simulator(m)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
