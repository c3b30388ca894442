"""Counters and the cause of an idle cycle."""

import itertools

from amaranth.sim import Simulator

from rtl.control.counters import NAMES, Counters, IdleCause


def run(dut, body, clock=True):
    simulator = Simulator(dut)
    if clock:
        simulator.add_clock(1e-6)
    simulator.add_testbench(body)
    simulator.run()


def test_each_counter_counts_and_clears_alone():
    dut = Counters()

    async def body(ctx):
        for i, name in enumerate(NAMES):
            ctx.set(dut.count, {name: 1})
            for _ in range(i + 1):
                await ctx.tick()
        assert [ctx.get(dut.values[name]) for name in NAMES] == list(range(1, len(NAMES) + 1))
        ctx.set(dut.clear, 1)
        await ctx.tick()
        assert ctx.get(dut.values.as_value()) == 0

    run(dut, body)


def test_every_cycle_has_exactly_one_cause():
    dut = IdleCause()
    inputs = ("running", "busy", "wait_operands", "wait_weights", "load_memory",
              "weight_memory", "store_memory")

    def wanted(running, busy, operands, weights, load, weight, store):
        if not running:
            return "setup"
        if busy:
            return "busy"
        unit, memory = (("load", load) if operands else
                        ("weight", weight) if weights else ("store", store))
        return "wait_memory" if memory else f"wait_{unit}"

    async def body(ctx):
        for values in itertools.product((0, 1), repeat=len(inputs)):
            for name, value in zip(inputs, values, strict=True):
                ctx.set(getattr(dut, name), value)
            await ctx.delay(1e-9)
            high = [n for n in dut.cause.shape().members if ctx.get(dut.cause[n])]
            assert high == [wanted(*values)], values

    run(dut, body, clock=False)
