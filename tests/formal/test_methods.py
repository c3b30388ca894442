"""The checkers themselves, on a queue whose defects are known."""

import pytest
from amaranth import *
from amaranth.lib.fifo import SyncFIFOBuffered

from formal.btor import compile_harness, parse
from formal.engine import bounded
from formal.harness import Harness
from formal.reach import Reach


class Queue(Elaboratable):
    """Two places; `defect` names what is wrong with it."""

    def __init__(self, defect=""):
        self.defect = defect
        self.push, self.pop, self.data = Signal(), Signal(), Signal(2)
        self.full, self.valid, self.out = Signal(), Signal(), Signal(2)

    def elaborate(self, platform):
        m = Module()
        count = Signal(2)
        places = [Signal(2, name=f"place{k}") for k in range(2)]
        m.d.comb += [self.full.eq(count == (3 if self.defect == "loses" else 2)),
                     self.valid.eq(count != 0)]
        m.d.comb += self.out.eq(places[0])
        pop = self.pop & self.valid
        m.d.sync += count.eq(count + self.push - pop)
        after = Signal(2)
        m.d.comb += after.eq(count - pop)
        with m.If(pop if self.defect != "repeats" else pop & self.push):
            m.d.sync += places[0].eq(places[1])
        with m.If(self.push):
            with m.Switch(after):
                for k in range(2):
                    with m.Case(k):
                        m.d.sync += places[1 - k if self.defect == "swaps" else k].eq(self.data)
        if self.defect == "stops":
            m.d.comb += self.full.eq(1)
        if self.defect == "changes":
            with m.If(self.valid & ~self.pop & ~self.push):
                m.d.sync += places[0].eq(~places[0])
        return m


def system_of(defect=""):
    h = Harness()
    queue = h.m.submodules.dut = Queue(defect)
    push, pop = h.free(1, "push") & ~queue.full, h.free(1, "pop") & queue.valid
    h.m.d.comb += [queue.push.eq(push), queue.pop.eq(pop)]
    h.in_order("queue", push, queue.data, pop, queue.out, bits=2)
    h.goal("popped", pop)
    return compile_harness(h)


def test_the_queue():
    system = system_of()
    verdict = Reach(system).run()
    assert verdict.holds and verdict.proved and verdict.states > 10
    assert str(verdict) == f"proved ({verdict.states} states)"
    assert bounded(system, 6).holds


@pytest.mark.parametrize("defect", ["loses", "repeats", "swaps", "changes"])
def test_the_search_and_the_solver_find_the_same_defect(defect):
    system = system_of(defect)
    searched, solved = Reach(system).run(), bounded(system, 8)
    assert not searched.holds and not solved.holds
    assert searched.cycles == solved.cycles == len(searched.trace) - 1 == len(solved.trace) - 1
    assert str(searched).endswith(f"fails in cycle {searched.cycles}")


def test_a_queue_that_stops_misses_its_goal():
    verdict = Reach(system_of("stops")).run(within=10)
    assert (verdict.holds, verdict.failed) == (False, "popped")


def counter(limit):
    h = Harness()
    step = h.free(1, "step")
    value = h.register(4, "value", lambda n: Mux(step & (n != 5), n + 1, n))
    h.require("below", value < limit)
    return compile_harness(h)


def test_a_failure_beyond_the_bound():
    assert bounded(counter(5), 5).holds
    for verdict in (bounded(counter(5), 6), Reach(counter(5)).run()):
        assert (verdict.holds, verdict.failed, verdict.cycles) == (False, "below", 5)
    assert Reach(counter(6)).run().proved


def test_library_queue():
    h = Harness()
    fifo = h.m.submodules.dut = SyncFIFOBuffered(width=4, depth=3)
    write, read = h.free(1, "write") & fifo.w_rdy, h.free(1, "read") & fifo.r_rdy
    h.m.d.comb += [fifo.w_en.eq(write), fifo.r_en.eq(read)]
    h.in_order("fifo", write, fifo.w_data, read, fifo.r_data, bits=3)
    assert Reach(compile_harness(h)).run().proved


def test_refusals():
    with pytest.raises(RuntimeError, match="wanted at most 3 states, found more"):
        Reach(system_of()).run(limit=3)
    h = Harness()
    h.require("odd", h.free(20, "wide").xor())
    with pytest.raises(ValueError, match="wanted at most 18 bits to choose, got 20"):
        Reach(compile_harness(h))
    with pytest.raises(ValueError, match="wanted bit vectors only"):
        parse("1 sort array 2 3")
    with pytest.raises(ValueError, match="wanted an assertion or assumption as output, got 'o'"):
        parse("1 sort bitvec 1\n2 input 1 i\n3 output 2 o")
