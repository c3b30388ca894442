"""UART: bytes through both halves, at every phase, with noise on the line."""

import random

import pytest
from amaranth import *
from amaranth.sim import Simulator

from examples.ulx3s.uart import Receiver, Transmitter


def loop(divisor, data, glitches=False):
    """What the receiver makes of `data` sent by the transmitter."""
    m = Module()
    m.submodules.transmitter = transmitter = Transmitter(divisor)
    m.submodules.receiver = receiver = Receiver(divisor)
    noise = Signal()
    m.d.comb += receiver.rx.eq(transmitter.tx & ~noise)
    got = []

    async def send(ctx):
        for byte in data:
            ctx.set(transmitter.i.payload, byte)
            ctx.set(transmitter.i.valid, 1)
            await ctx.tick().until(transmitter.i.ready)
            ctx.set(transmitter.i.valid, 0)
            if glitches:
                await ctx.tick().repeat(12 * divisor)
                ctx.set(noise, 1)
                await ctx.tick().repeat(max(1, divisor // 4))
                ctx.set(noise, 0)
                await ctx.tick().repeat(12 * divisor)

    async def receive(ctx):
        ctx.set(receiver.o.ready, 1)
        while len(got) < len(data):
            (byte,) = await ctx.tick().sample(receiver.o.payload).until(receiver.o.valid)
            got.append(byte)

    sim = Simulator(m)
    sim.add_clock(1e-6)
    sim.add_testbench(send)
    sim.add_testbench(receive)
    sim.run_until(1e-6 * (60 * divisor * len(data) + 100))
    return got


@pytest.mark.parametrize("divisor", [4, 5, 16])
def test_bytes(divisor):
    data = [0x00, 0xFF, 0x55, 0x01, 0x80] + [random.Random(1).randrange(256) for _ in range(8)]
    assert loop(divisor, data) == data


def test_short_pulses_are_no_start_bits():
    assert loop(16, [0x5A, 0x00, 0xFF], glitches=True) == [0x5A, 0x00, 0xFF]
