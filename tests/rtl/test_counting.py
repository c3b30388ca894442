"""The increment of an up-down counter."""

from amaranth import *
from amaranth.sim import Simulator

from hqdm.rtl.counting import change


def test_change_is_up_minus_down():
    m, up, down, step = Module(), Signal(), Signal(), Signal(signed(4))
    m.d.comb += step.eq(change(up, down, 4))

    async def testbench(ctx):
        for values in ((0, 0), (0, 1), (1, 0), (1, 1)):
            ctx.set(up, values[0])
            ctx.set(down, values[1])
            assert ctx.get(step) == values[0] - values[1]

    sim = Simulator(m)
    sim.add_testbench(testbench)
    sim.run()
