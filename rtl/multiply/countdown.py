"""A loop counter that costs a comparison less than one that counts up."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Countdown(wiring.Component):
    """Counts from ``load`` to 1; ``last`` is a register that says "it is at 1".

    ``reload`` comes before ``step``. Either shows in the next cycle.

    Members
    -------
    load: at least 1. reload, step: see above. last: see above.
    """

    def __init__(self, bits: int):
        super().__init__({"load": In(bits), "reload": In(1), "step": In(1), "last": Out(1)})

    def elaborate(self, platform):
        m = Module()
        count = Signal.like(self.load)
        with m.If(self.reload):
            m.d.sync += [count.eq(self.load), self.last.eq(self.load == 1)]
        with m.Elif(self.step):
            m.d.sync += [count.eq(count - 1), self.last.eq(count == 2)]
        return m
