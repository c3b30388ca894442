"""Controller: the states of a layer, faults by priority, drain, watchdog, soft reset."""

from itertools import combinations

import pytest
from amaranth.sim import Simulator

from hqdm.rtl.control.controller import ENGINES, Controller
from hqdm.spec import PRESETS
from hqdm.spec.registers import Control, Fault, Status

CONFIG = PRESETS["n4"]
QUIET = 2 * CONFIG.n + 8


class Bench:
    """A controller whose fetch takes two cycles and whose engines are idle unless told."""

    def __init__(self):
        self.dut = Controller(CONFIG)

    async def write(self, ctx, bit):
        ctx.set(self.dut.control, 1 << bit)
        await ctx.tick()
        ctx.set(self.dut.control, 0)

    async def start(self, ctx, watchdog=0):
        """START, then into RUN."""
        dut = self.dut
        ctx.set(dut.idle, 1)
        ctx.set(dut.watchdog, watchdog)
        await self.write(ctx, Control.START)
        ctx.set(dut.fetch_done, 0)
        await ctx.tick().repeat(3)
        assert self.status(ctx) == {Status.BUSY} and not ctx.get(dut.running)
        ctx.set(dut.fetch_done, 1)
        await ctx.tick()
        assert ctx.get(dut.start) and ctx.get(dut.running)
        await ctx.tick()
        assert not ctx.get(dut.start) and ctx.get(dut.running)

    def status(self, ctx):
        value = ctx.get(self.dut.status)
        return {bit for bit in Status if value >> bit & 1}

    async def drained(self, ctx):
        """The drain lasts until the array is empty and the engines are idle."""
        dut = self.dut
        ctx.set(dut.idle, 0)
        for _ in range(3 * QUIET):
            assert ctx.get(dut.abort) and not ctx.get(dut.running)
            await ctx.tick()
        ctx.set(dut.idle, 1)
        await ctx.tick().repeat(2)
        assert not ctx.get(dut.abort)

    def run(self, body):
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(body)
        simulator.run()


def test_a_layer_ends_with_one_interrupt():
    bench = Bench()

    async def body(ctx):
        for _ in range(2):
            await bench.start(ctx)
            assert not ctx.get(bench.dut.interrupt_set)
            ctx.set(bench.dut.layer_done, 1)
            await ctx.delay(1e-9)
            assert ctx.get(bench.dut.interrupt_set)
            await ctx.tick()
            ctx.set(bench.dut.layer_done, 0)
            assert bench.status(ctx) == {Status.DONE} and not ctx.get(bench.dut.interrupt_set)

    bench.run(body)


@pytest.mark.parametrize("decerr", [0, 1])
@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_fault_is_latched_and_drained(name, decerr):
    bench, codes = Bench(), ENGINES[name]

    async def body(ctx):
        dut = bench.dut
        engine = dut.engine(name)
        await bench.start(ctx)
        ctx.set(engine.fault, 1)
        ctx.set(engine.decerr, decerr)
        ctx.set(engine.address, 0x1230)
        ctx.set(dut.layer_done, 1)          # a fault in the last cycle is still a fault
        await ctx.delay(1e-9)
        assert ctx.get(dut.interrupt_set)
        await ctx.tick()
        ctx.set(engine.fault, 0)
        ctx.set(dut.layer_done, 0)
        assert bench.status(ctx) == {Status.FAULT, Status.DRAINING}
        assert ctx.get(dut.fault_code) == codes[decerr] and ctx.get(dut.fault_address) == 0x1230
        await bench.drained(ctx)
        assert bench.status(ctx) == {Status.FAULT}
        await bench.start(ctx)              # the next START forgets it
        assert ctx.get(dut.fault_code) == Fault.NONE

    bench.run(body)


# every condition that ends a running layer, in the order in which they are reported
CONDITIONS = (*ENGINES, "operand_overflow", "sum_overflow")


@pytest.mark.parametrize(("first", "second"), list(combinations(CONDITIONS, 2)))
def test_of_two_faults_in_one_cycle_the_first_is_reported(first, second):
    bench = Bench()
    dut = bench.dut

    def signal(name):
        return dut.engine(name).fault if name in ENGINES else getattr(dut, name)

    def expected(name):
        """Code and address; each engine has an address of its own."""
        if name in ENGINES:
            return ENGINES[name][0], 0x100 * (1 + list(ENGINES).index(name))
        return {"operand_overflow": (Fault.OPERAND_OVERFLOW, CONFIG.buffer_words),
                "sum_overflow": (Fault.ACCUMULATOR_OVERFLOW, CONFIG.acc_words)}[name]

    async def body(ctx):
        for name in ENGINES:
            ctx.set(dut.engine(name).address, expected(name)[1])
        for together in ((first, second), (first,), (second,)):
            await bench.start(ctx)
            for name in together:
                ctx.set(signal(name), 1)
            await ctx.tick()
            for name in together:
                ctx.set(signal(name), 0)
            found = ctx.get(dut.fault_code), ctx.get(dut.fault_address)
            assert found == expected(together[0])
            await bench.drained(ctx)

    bench.run(body)


def test_the_watchdog_counts_cycles_without_progress():
    bench = Bench()

    async def body(ctx):
        dut = bench.dut
        await bench.start(ctx, watchdog=20)
        for _ in range(4):
            await ctx.tick().repeat(12)
            ctx.set(dut.progress, 1)
            await ctx.tick()
            ctx.set(dut.progress, 0)
        assert bench.status(ctx) == {Status.BUSY}
        await ctx.tick().repeat(22)
        assert ctx.get(dut.fault_code) == Fault.WATCHDOG
        assert bench.status(ctx) == {Status.FAULT, Status.DRAINING}

    bench.run(body)


@pytest.mark.parametrize("cycles", range(6))
def test_a_soft_reset_is_never_lost(cycles):
    """At every state on the way."""
    bench = Bench()

    async def body(ctx):
        dut = bench.dut
        ctx.set(dut.idle, 1)
        ctx.set(dut.fetch_done, 1)
        await bench.write(ctx, Control.START)
        for _ in range(cycles):
            await ctx.tick()
        await bench.write(ctx, Control.SOFT_RESET)
        assert Status.DRAINING in bench.status(ctx)
        await ctx.tick().repeat(QUIET + 6)
        assert bench.status(ctx) == set() and not ctx.get(dut.running)

    bench.run(body)
