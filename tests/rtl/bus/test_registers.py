"""RegisterBank: every register by its declared access, write order, strobes, unknown addresses."""

import random

import pytest
from amaranth.sim import Simulator

from hqdm.rtl.bus.registers import COUNTER_NAMES, RESET, SLVERR, RegisterBank
from hqdm.spec.registers import ADDRESS, COUNTERS, REGISTER_SPACE_BITS, REGISTERS

UNKNOWN = sorted(set(range(0, 1 << REGISTER_SPACE_BITS, 4)) - {r.address for r in REGISTERS})


async def handshake(ctx, valid, ready) -> None:
    ctx.set(valid, 1)
    await ctx.tick().until(ready)
    ctx.set(valid, 0)


async def write(ctx, axi, address, value, strobe=0xF, order="together", pause=0) -> int:
    """One write; returns the response."""
    ctx.set(axi.awaddr, address)
    ctx.set(axi.wdata, value)
    ctx.set(axi.wstrb, strobe)
    if order == "together":
        ctx.set(axi.awvalid, 1)
        await handshake(ctx, axi.wvalid, axi.wready)
        ctx.set(axi.awvalid, 0)
    else:
        channels = [(axi.awvalid, axi.awready), (axi.wvalid, axi.wready)]
        for valid, ready in channels if order == "address first" else reversed(channels):
            await handshake(ctx, valid, ready)
            if pause:
                await ctx.tick().repeat(pause)
    ctx.set(axi.bready, 1)
    (response,) = await ctx.tick().sample(axi.bresp).until(axi.bvalid)
    ctx.set(axi.bready, 0)
    return response


async def read(ctx, axi, address, pause=0) -> tuple[int, int]:
    """One read; returns data and response."""
    ctx.set(axi.araddr, address)
    await handshake(ctx, axi.arvalid, axi.arready)
    if pause:
        await ctx.tick().repeat(pause)
    ctx.set(axi.rready, 1)
    data, response = await ctx.tick().sample(axi.rdata, axi.rresp).until(axi.rvalid)
    ctx.set(axi.rready, 0)
    return data, response


def simulate(body, watch=None) -> None:
    """Run `body(ctx, bank)`, with `watch(ctx, bank)` beside it."""
    dut = RegisterBank()
    sim = Simulator(dut)
    sim.add_clock(1e-6)

    async def testbench(ctx):
        await body(ctx, dut)

    async def background(ctx):
        await watch(ctx, dut)

    if watch:
        sim.add_testbench(background, background=True)
    sim.add_testbench(testbench)
    sim.run()


@pytest.mark.parametrize("pause", [0, 3])
@pytest.mark.parametrize("order", ["together", "address first", "data first"])
def test_rw_registers_keep_what_is_written(order, pause):
    rng = random.Random(pause)
    values = {r.address: rng.getrandbits(32) for r in REGISTERS if r.access == "rw"}

    async def body(ctx, dut):
        for r in REGISTERS:
            if r.access == "rw":
                assert await read(ctx, dut.axil, r.address) == (RESET.get(r.name, 0), 0)
        for address, value in values.items():
            assert await write(ctx, dut.axil, address, value, order=order, pause=pause) == 0
        for address, value in values.items():
            assert await read(ctx, dut.axil, address, pause) == (value, 0)
        assert ctx.get(dut.timestep) == values[ADDRESS["timestep"]]

    simulate(body)


def test_strobes_select_bytes():
    async def body(ctx, dut):
        await write(ctx, dut.axil, ADDRESS["timestep"], 0x11223344)
        await write(ctx, dut.axil, ADDRESS["timestep"], 0xAABBCCDD, strobe=0b0101)
        assert await read(ctx, dut.axil, ADDRESS["timestep"]) == (0x11BB33DD, 0)

    simulate(body)


def test_ro_registers_show_their_inputs_and_refuse_writes():
    names = [r.name for r in REGISTERS if r.access == "ro" and r.name not in COUNTER_NAMES]

    async def body(ctx, dut):
        for i, name in enumerate(names):
            ctx.set(getattr(dut, name), 0x80000001 + 16 * i)
        for i, name in enumerate(names):
            assert await read(ctx, dut.axil, ADDRESS[name]) == (0x80000001 + 16 * i, 0)
            assert await write(ctx, dut.axil, ADDRESS[name], 0) == SLVERR

    simulate(body)


def test_a_read_of_a_counter_waits_until_it_is_shown():
    async def body(ctx, dut):
        for index, (name, _) in enumerate(COUNTERS):
            assert await read(ctx, dut.axil, ADDRESS[name]) == (0x10000 * index + 7, 0)
            assert await write(ctx, dut.axil, ADDRESS[name], 0) == SLVERR

    async def show(ctx, dut):
        while True:
            for slot in range(len(COUNTERS)):
                ctx.set(dut.counter_slot, slot)
                ctx.set(dut.counter_value, 0x10000 * slot + 7)
                await ctx.tick()

    simulate(body, show)


def test_wo_register_pulses_for_one_cycle():
    pulses = []

    async def body(ctx, dut):
        assert await write(ctx, dut.axil, ADDRESS["control"], 0x80000003) == 0
        assert await write(ctx, dut.axil, ADDRESS["control"], 0x00FF, strobe=0b0010) == 0
        assert await read(ctx, dut.axil, ADDRESS["control"]) == (0, 0)

    async def watch(ctx, dut):
        async for _, _, value in ctx.tick().sample(dut.control):
            if value:
                pulses.append(value)

    simulate(body, watch)
    assert pulses == [0x80000003]


def test_w1c_bits_are_set_by_hardware_and_cleared_by_ones():
    async def body(ctx, dut):
        ctx.set(dut.irq_status_set, 0b101)
        await ctx.tick()
        ctx.set(dut.irq_status_set, 0)
        assert await read(ctx, dut.axil, ADDRESS["irq_status"]) == (0b101, 0)
        assert await write(ctx, dut.axil, ADDRESS["irq_status"], 0b001) == 0
        assert await read(ctx, dut.axil, ADDRESS["irq_status"]) == (0b100, 0)
        ctx.set(dut.irq_status_set, 0b100)
        assert await write(ctx, dut.axil, ADDRESS["irq_status"], 0b100) == 0
        assert ctx.get(dut.irq_status) == 0b100, "setting wins over clearing"

    simulate(body)


def test_w1c_bits_of_bytes_that_are_not_written_stay():
    bits = 0x0102_0408

    async def body(ctx, dut):
        for strobe in range(16):
            ctx.set(dut.irq_status_set, bits)
            await ctx.tick()
            ctx.set(dut.irq_status_set, 0)
            await write(ctx, dut.axil, ADDRESS["irq_status"], 0xFFFF_FFFF, strobe=strobe)
            written = sum(0xFF << 8 * i for i in range(4) if strobe >> i & 1)
            assert ctx.get(dut.irq_status) == bits & ~written, f"strobe {strobe:04b}"

    simulate(body)


def test_unknown_addresses_answer_slverr():
    async def body(ctx, dut):
        for address in UNKNOWN:
            assert await read(ctx, dut.axil, address) == (0, SLVERR)
            assert await write(ctx, dut.axil, address, 0xFFFFFFFF) == SLVERR
        for r in REGISTERS:
            if r.access == "rw":
                assert ctx.get(getattr(dut, r.name)) == RESET.get(r.name, 0)

    simulate(body)
