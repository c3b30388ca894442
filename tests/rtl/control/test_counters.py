"""Counters and the cause of an idle cycle."""

import itertools

from amaranth.sim import Simulator

from hqdm.rtl.control.counters import NAMES, Counters, IdleCause


def run(dut, body, clock=True):
    simulator = Simulator(dut)
    if clock:
        simulator.add_clock(1e-6)
    simulator.add_testbench(body)
    simulator.run()


async def values(ctx, dut):
    """What the counters show in their next round."""
    found = {}
    await ctx.tick().repeat(2)      # from an increment to what is shown
    for _ in NAMES:
        _, _, slot, value = await ctx.tick().sample(dut.slot, dut.value)
        found[slot] = value
    return [found[slot] for slot in range(len(NAMES))]


def test_each_counter_counts_and_clears_alone():
    dut = Counters()

    async def body(ctx):
        wanted = [0] * len(NAMES)
        for start in range(len(NAMES)):
            for i, name in enumerate(NAMES):
                ctx.set(dut.count, {name: 1})
                await ctx.tick().repeat(3 * i + 1 + start)
                wanted[i] += 3 * i + 1 + start
            ctx.set(dut.count, {})
            assert await values(ctx, dut) == wanted
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        assert await values(ctx, dut) == [0] * len(NAMES)

    run(dut, body)


def test_nothing_before_clear_is_counted_and_everything_after():
    dut = Counters()

    async def body(ctx):
        for pause in range(2 * len(NAMES)):
            ctx.set(dut.count, dict.fromkeys(NAMES, 1))
            await ctx.tick().repeat(20 + pause)
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            await ctx.tick().repeat(17)
            ctx.set(dut.count, {})
            assert await values(ctx, dut) == [17] * len(NAMES)

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
