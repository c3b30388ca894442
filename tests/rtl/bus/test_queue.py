"""CreditQueue against a list: order, throughput, latency, held while waiting."""

import random
from collections import deque

import pytest
from amaranth.sim import Simulator

from hqdm.rtl.bus.queue import CreditQueue

DEPTH, WIDTH = 16, 12


def run(push, ready, count):
    """`count` entries pushed and taken with these probabilities; (cycle, entry) taken, pushed."""
    dut, rng = CreditQueue(WIDTH, DEPTH), random.Random(count)
    pushed, taken, inside = [], [], deque()

    async def testbench(ctx):
        held = None
        for cycle in range(40 * count):
            go = len(pushed) < count and len(inside) < DEPTH and rng.random() < push
            entry = rng.getrandbits(WIDTH)
            ctx.set(dut.push, go)
            ctx.set(dut.data, entry)
            ctx.set(dut.o.ready, accept := rng.random() < ready)
            _, _, valid, payload = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            assert held is None or (valid, payload) == (1, held)
            held = payload if valid and not accept else None
            if valid and accept:
                assert payload == inside.popleft()
                taken.append(cycle)
            if go:
                inside.append(entry)
                pushed.append(cycle)
            if len(taken) == count:
                return
        raise AssertionError("entries are lost")

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    return pushed, taken


@pytest.mark.parametrize("push", [0.2, 0.5, 1])
@pytest.mark.parametrize("ready", [0.2, 0.5, 1])
def test_everything_comes_out_in_order(push, ready):
    run(push, ready, 200)


def test_an_entry_per_cycle():
    pushed, taken = run(1, 1, 100)
    assert taken == [cycle + CreditQueue.latency for cycle in pushed] == list(range(3, 103))
