"""Performance counters: cycles by cause and beats by port."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from spec.registers import COUNTERS

NAMES = tuple(name for name, _ in COUNTERS)


class Counters(wiring.Component):
    """One 32-bit counter per entry of `spec.registers.COUNTERS`; wraps after 2^32.

    Members
    -------
    clear: zero all. count: one increment bit per counter. values: the counters.
    """

    def __init__(self):
        super().__init__({
            "clear": In(1),
            "count": In(data.StructLayout({name: 1 for name in NAMES})),
            "values": Out(data.StructLayout({name: 32 for name in NAMES})),
        })

    def elaborate(self, platform):
        m = Module()
        for name in NAMES:
            value = self.values[name]
            with m.If(self.clear):
                m.d.sync += value.eq(0)
            with m.Elif(self.count[name]):
                m.d.sync += value.eq(value + 1)
        return m


class IdleCause(wiring.Component):
    """Why the array is idle in this cycle, as counter increments; exactly one of six is high.

    Members
    -------
    running: the units run (else the cycle is set-up). busy, wait_*, finished: from the sequencer.
    *_memory: the load, weight or store unit itself waits for a bus.
    """

    def __init__(self):
        super().__init__({
            "running": In(1), "busy": In(1), "wait_operands": In(1), "wait_weights": In(1),
            "load_memory": In(1), "weight_memory": In(1), "store_memory": In(1),
            "cause": Out(data.StructLayout({
                name: 1 for name in
                ("busy", "wait_load", "wait_weight", "wait_store", "wait_memory", "setup")})),
        })

    def elaborate(self, platform):
        m = Module()
        cause = self.cause
        with m.If(~self.running):
            m.d.comb += cause.setup.eq(1)
        with m.Elif(self.busy):
            m.d.comb += cause.busy.eq(1)
        with m.Elif(self.wait_operands):
            m.d.comb += [cause.wait_memory.eq(self.load_memory),
                         cause.wait_load.eq(~self.load_memory)]
        with m.Elif(self.wait_weights):
            m.d.comb += [cause.wait_memory.eq(self.weight_memory),
                         cause.wait_weight.eq(~self.weight_memory)]
        with m.Else():
            m.d.comb += [cause.wait_memory.eq(self.store_memory),
                         cause.wait_store.eq(~self.store_memory)]
        return m
