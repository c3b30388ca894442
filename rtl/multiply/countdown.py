"""A loop counter that costs a comparison less than one that counts up."""

from amaranth import *
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component


class Countdown(Component):
    """Counts from ``load`` to 1, which is when ``last`` says so.

    ``reload`` comes before ``step``. Either shows in the next cycle.

    Members
    -------
    load: at least 1. reload, step: see above. last: combinational, two levels of logic.
    """

    def __init__(self, bits: int):
        super().__init__({"load": In(bits), "reload": In(1), "step": In(1), "last": Out(1)})

    def elaborate(self, platform):
        m = Module()
        count = Signal.like(self.load)
        m.d.comb += self.last.eq(count == 1)
        with m.If(self.reload):
            m.d.sync += count.eq(self.load)
        with m.Elif(self.step):
            m.d.sync += count.eq(count - 1)
        return m
