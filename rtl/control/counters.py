"""Performance counters: cycles by cause and beats by port."""

from amaranth import *
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.memories import memory
from hqdm.spec.registers import COUNTERS
from hqdm.spec.stalls import STALL_COUNTERS

NAMES = tuple(name for name, _ in COUNTERS)


class Counters(Component):
    """One 32-bit counter per entry of `hqdm.spec.registers.COUNTERS`; wraps after 2^32.

    The counters are the entries of a small memory with one adder. Between two visits of a counter
    its increments are held in four bits, so a counter is right whenever it is shown.

    Latency: two cycles from an increment to a counter visited then; each is shown every
    `len(COUNTERS)` cycles.

    Members
    -------
    clear: zero all. count: one increment bit per counter.
    slot, value: the counter shown in this cycle, by its place in `COUNTERS`.
    """

    def __init__(self):
        super().__init__({
            "clear": In(1),
            "count": In(data.StructLayout({name: 1 for name in NAMES})),
            "slot": Out(range(len(NAMES))), "value": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.totals = totals = memory(32, 16)
        write, read = totals.write_port(), totals.read_port(domain="comb")
        slot, added, stale = Signal(4), Signal(4), Signal(range(len(NAMES) + 1), init=len(NAMES))
        old, more = Signal(32), Signal(range(len(NAMES) + 1))
        recent = [Signal.like(more, name=f"recent_{name}") for name in NAMES]
        clear = Signal()
        m.d.comb += [
            read.addr.eq(slot), write.en.eq(1), write.addr.eq(added), write.data.eq(old + more)]
        m.d.sync += [
            clear.eq(self.clear),
            slot.eq(Mux(slot == len(NAMES) - 1, 0, slot + 1)), added.eq(slot),
            self.slot.eq(added), self.value.eq(write.data), old.eq(read.data),
        ]
        with m.If(stale != 0):      # what the memory holds is of the time before `clear`
            m.d.sync += [old.eq(0), stale.eq(stale - 1)]
        # The visit takes what came before it; the increment of its own cycle waits for the next.
        for index, name in enumerate(NAMES):
            visited = slot == index
            m.d.sync += recent[index].eq(
                Mux(visited | clear, 0, recent[index]) + self.count[name])
            with m.If(visited):
                m.d.sync += more.eq(recent[index])
        with m.If(clear):
            m.d.sync += [stale.eq(len(NAMES)), old.eq(0), more.eq(0)]
        return m


class IdleCause(Component):
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
                name: 1 for name in ("busy", *STALL_COUNTERS.values())})),
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
