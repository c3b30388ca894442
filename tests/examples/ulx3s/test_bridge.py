"""Messages to the real register bank and the real memory; AXI bursts of the memory."""

import random

import pytest
from amaranth import *
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator

from examples.ulx3s.bridge import (
    READ_MEMORY,
    READ_REGISTER,
    UNKNOWN,
    WRITE_MEMORY,
    WRITE_REGISTER,
    Bridge,
)
from examples.ulx3s.memory import DECERR, BlockMemory
from hqdm.rtl.bus.registers import SLVERR, RegisterBank
from hqdm.spec import PRESETS
from hqdm.spec.registers import ADDRESS, IDENTITY

WORDS = 64


class System:
    """Bridge, registers and memory; `run` gives the simulator to one testbench."""

    def __init__(self, config):
        self.module = m = Module()
        m.submodules.bridge = self.bridge = Bridge()
        m.submodules.registers = self.registers = RegisterBank()
        m.submodules.memory = self.memory = BlockMemory(config, WORDS)
        connect(m, self.bridge.axil, self.registers.axil)
        connect(m, self.bridge.memory, self.memory.host)
        m.d.comb += self.registers.identity.eq(IDENTITY)

    async def ask(self, ctx, command, address, data=0):
        """(status, data) of a message."""
        message = bytes([command]) + address.to_bytes(4, "little") + data.to_bytes(4, "little")
        for byte in message:
            ctx.set(self.bridge.i.payload, byte)
            ctx.set(self.bridge.i.valid, 1)
            await ctx.tick().until(self.bridge.i.ready)
            ctx.set(self.bridge.i.valid, 0)
        ctx.set(self.bridge.o.ready, 1)
        answer = []
        while len(answer) < 5:
            (byte,) = await ctx.tick().sample(self.bridge.o.payload).until(self.bridge.o.valid)
            answer.append(byte)
        ctx.set(self.bridge.o.ready, 0)
        return answer[0], int.from_bytes(bytes(answer[1:]), "little")

    def run(self, testbench):
        sim = Simulator(self.module)
        sim.add_clock(1e-6)
        sim.add_testbench(testbench)
        sim.run_until(0.1)


async def read_burst(ctx, axi, address, beats):
    """[(data, response)] of a burst."""
    ctx.set(axi.araddr, address)
    ctx.set(axi.arlen, beats - 1)
    ctx.set(axi.arvalid, 1)
    await ctx.tick().until(axi.arready)
    ctx.set(axi.arvalid, 0)
    ctx.set(axi.rready, 1)
    got = []
    while len(got) < beats:
        data, response, last = await ctx.tick().sample(
            axi.rdata, axi.rresp, axi.rlast).until(axi.rvalid)
        got.append((data, response))
        assert last == (len(got) == beats)
    ctx.set(axi.rready, 0)
    return got


async def write_burst(ctx, axi, address, values, strobes):
    """The response of a burst."""
    ctx.set(axi.awaddr, address)
    ctx.set(axi.awlen, len(values) - 1)
    ctx.set(axi.awvalid, 1)
    await ctx.tick().until(axi.awready)
    ctx.set(axi.awvalid, 0)
    for index, (value, strobe) in enumerate(zip(values, strobes, strict=True)):
        ctx.set(axi.wdata, value)
        ctx.set(axi.wstrb, strobe)
        ctx.set(axi.wlast, index == len(values) - 1)
        ctx.set(axi.wvalid, 1)
        await ctx.tick().until(axi.wready)
    ctx.set(axi.wvalid, 0)
    ctx.set(axi.bready, 1)
    (response,) = await ctx.tick().sample(axi.bresp).until(axi.bvalid)
    ctx.set(axi.bready, 0)
    return response


def test_registers():
    system, done = System(PRESETS["n4"]), []

    async def testbench(ctx):
        assert await system.ask(ctx, READ_REGISTER, ADDRESS["identity"]) == (0, IDENTITY)
        assert await system.ask(ctx, WRITE_REGISTER, ADDRESS["timestep"], 7) == (0, 0)
        assert await system.ask(ctx, READ_REGISTER, ADDRESS["timestep"]) == (0, 7)
        assert (await system.ask(ctx, WRITE_REGISTER, ADDRESS["identity"], 1))[0] == SLVERR
        assert (await system.ask(ctx, 9, 0))[0] == UNKNOWN
        assert await system.ask(ctx, READ_REGISTER, ADDRESS["timestep"]) == (0, 7)
        done.append(True)
    system.run(testbench)
    assert done


@pytest.mark.parametrize("name", ["n4", "n8", "n16"])
def test_memory(name):
    """Words of the host are seen by the bursts, and the other way round."""
    config = PRESETS[name]
    system, done, rng = System(config), [], random.Random(3)
    per_beat = config.bus_bytes // 4
    values = [rng.getrandbits(32) for _ in range(4 * per_beat)]

    async def testbench(ctx):
        for index, value in enumerate(values):
            assert (await system.ask(ctx, WRITE_MEMORY, 4 * index, value))[0] == 0
        for axi in (system.memory.load, system.memory.weight, system.memory.store):
            beats = await read_burst(ctx, axi, 0, 4)
            assert beats == [(sum(values[per_beat * i + k] << 32 * k for k in range(per_beat)), 0)
                             for i in range(4)]
        data = [rng.getrandbits(config.bus_bits) for _ in range(2)]
        every = (1 << config.bus_bytes) - 1
        assert await write_burst(ctx, system.memory.store, config.bus_bytes, data,
                                 [every, 0b10]) == 0
        kept = values[2 * per_beat] & ~0xFF00 | data[1] & 0xFF00
        assert await system.ask(ctx, READ_MEMORY, config.bus_bytes) == (0, data[0] & 0xFFFFFFFF)
        assert await system.ask(ctx, READ_MEMORY, 2 * config.bus_bytes) == (0, kept)
        done.append(True)
    system.run(testbench)
    assert done


def test_beyond_the_end():
    config = PRESETS["n4"]
    system, done = System(config), []
    end = WORDS * config.bus_bytes

    async def testbench(ctx):
        store = system.memory.store
        assert await write_burst(ctx, store, 0, [5], [0xF]) == 0
        assert await write_burst(ctx, store, end, [6], [0xF]) == DECERR
        assert [r for _, r in await read_burst(ctx, system.memory.load, end, 2)] == [DECERR] * 2
        assert await read_burst(ctx, system.memory.load, 0, 1) == [(5, 0)]
        done.append(True)
    system.run(testbench)
    assert done
