"""AxiReader against a memory model: order, splits, throughput, errors, abort."""

import random

import pytest
from amaranth.sim import Simulator

from hqdm.rtl.bus.reader import AxiReader, check_fifo_beats
from hqdm.spec import PRESETS
from hqdm.spec.config import BURST_BEATS

CONFIG = PRESETS["n8"]
BYTES = CONFIG.bus_bytes


def word_at(address: int) -> int:
    """Contents of the memory: something that differs from beat to beat."""
    return (address * 0x9E3779B97F4A7C15 ^ address >> 3) & ((1 << CONFIG.bus_bits) - 1)


class Memory:
    """AXI read slave: checks every burst, answers in order after a random or fixed latency."""

    def __init__(self, axi, seed: int, stalls: bool, latency: int = 3):
        self.axi, self.stalls, self.latency = axi, stalls, latency
        self.random = random.Random(seed)
        self.bursts: list[tuple[int, int]] = []
        self.errors: dict[int, int] = {}        # burst address -> response
        self.queue: list[tuple[int, int, int, bool]] = []   # ready at, address, response, last
        self.offered: tuple[int, int] | None = None         # an address not yet accepted

    def accept(self, cycle: int, address: int, beats: int) -> None:
        assert beats <= BURST_BEATS and address % BYTES == 0
        assert address // 4096 == (address + beats * BYTES - 1) // 4096
        self.bursts.append((address, beats))
        response = self.errors.get(address, 0)
        self.queue += [(cycle + self.latency, address + i * BYTES, response, i == beats - 1)
                       for i in range(beats)]

    async def run(self, ctx):
        axi, cycle, ready = self.axi, 0, 0
        while True:
            sample = await ctx.tick().sample(axi.arvalid, axi.araddr, axi.arlen, axi.rready)
            _, _, valid, address, length, rready = sample
            cycle += 1
            assert rready == 1
            if self.offered:
                assert (valid, address, length) == (1, *self.offered), "an offered AR changed"
            self.offered = (address, length) if valid and not ready else None
            if valid and ready:
                assert ctx.get(axi.arburst) == 1 and 1 << ctx.get(axi.arsize) == BYTES
                self.accept(cycle, address, length + 1)
            ready = int(not self.stalls or self.random.random() < 0.6)
            ctx.set(axi.arready, ready)
            go = bool(self.queue) and self.queue[0][0] <= cycle
            go = go and (not self.stalls or self.random.random() < 0.7)
            ctx.set(axi.rvalid, go)
            if go:
                _, at, response, last = self.queue.pop(0)
                ctx.set(axi.rdata, word_at(at))
                ctx.set(axi.rresp, response)
                ctx.set(axi.rlast, last)


async def send(ctx, port, requests, gap) -> None:
    for address, beats in requests:
        while gap():
            await ctx.tick()
        ctx.set(port.request.payload, {"address": address, "beats": beats})
        ctx.set(port.request.valid, 1)
        await ctx.tick().until(port.request.ready)
        ctx.set(port.request.valid, 0)


async def receive(ctx, port, count, gap) -> list[int]:
    beats = []
    for _ in range(count):
        while gap():
            await ctx.tick()
        ctx.set(port.beat.ready, 1)
        (payload,) = await ctx.tick().sample(port.beat.payload).until(port.beat.valid)
        beats.append(payload)
        ctx.set(port.beat.ready, 0)
    return beats


def expected(requests) -> list[int]:
    return [word_at(a + i * BYTES) for a, beats in requests for i in range(beats)]


def simulate(testbenches, dut, *background) -> None:
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    for testbench in background:
        sim.add_testbench(testbench, background=True)
    for testbench in testbenches:
        sim.add_testbench(testbench)
    sim.run()


@pytest.mark.parametrize("stalls", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_requests_come_back_in_order(seed, stalls):
    rng = random.Random(seed)
    dut = AxiReader(CONFIG, fifo_beats=32)
    memory = Memory(dut.axi, seed, stalls)
    requests = [(rng.randrange(1 << 16) * BYTES, rng.choice([1, 2, 2, 15, 16, 17, 40]))
                for _ in range(40)]
    gap = (lambda: rng.random() < 0.3) if stalls else (lambda: False)
    received = []

    async def drive(ctx):
        await send(ctx, dut.port, requests, gap)

    async def collect(ctx):
        received.extend(await receive(ctx, dut.port, len(expected(requests)), gap))
        await ctx.tick().repeat(2)
        assert ctx.get(dut.idle)

    simulate([drive, collect], dut, memory.run)
    assert received == expected(requests)
    assert sum(beats for _, beats in memory.bursts) == len(received)


def test_bursts_end_on_boundaries():
    dut = AxiReader(CONFIG)
    memory = Memory(dut.axi, 0, False)
    request = (13 * BYTES, 40)

    async def drive(ctx):
        await send(ctx, dut.port, [request], lambda: False)
        await receive(ctx, dut.port, 40, lambda: False)

    simulate([drive], dut, memory.run)
    assert memory.bursts == [(13 * BYTES, 3), (16 * BYTES, 16), (32 * BYTES, 16), (48 * BYTES, 5)]


@pytest.mark.parametrize("beats", [2, 16, 64])
def test_one_beat_per_cycle(beats):
    """With an eager memory every cycle after the first beat delivers one."""
    dut = AxiReader(CONFIG)
    memory = Memory(dut.axi, 0, False, latency=10)
    count = 256
    requests = [(i * beats * BYTES, beats) for i in range(count // beats)]
    cycles = []

    async def drive(ctx):
        await send(ctx, dut.port, requests, lambda: False)

    async def collect(ctx):
        ctx.set(dut.port.beat.ready, 1)
        await ctx.tick().until(dut.port.beat.valid)
        for _ in range(count - 1):
            _, _, valid = await ctx.tick().sample(dut.port.beat.valid)
            cycles.append(valid)

    simulate([drive, collect], dut, memory.run)
    assert all(cycles)


def test_a_full_fifo_stops_the_addresses():
    """Beats nobody takes: no more than the FIFO holds is asked for."""
    dut = AxiReader(CONFIG, fifo_beats=32)
    memory = Memory(dut.axi, 0, False)
    requests = [(i * 2 * BYTES, 2) for i in range(40)]
    received = []

    async def drive(ctx):
        await send(ctx, dut.port, requests, lambda: False)

    async def collect(ctx):
        await ctx.tick().repeat(150)
        assert sum(beats for _, beats in memory.bursts) == 32
        received.extend(await receive(ctx, dut.port, 80, lambda: False))

    simulate([drive, collect], dut, memory.run)
    assert received == expected(requests)


def test_a_long_burst_after_short_ones_waits_for_its_room():
    """What is on its way and in the FIFO is never more than the FIFO holds."""
    dut = AxiReader(CONFIG, fifo_beats=32)
    memory = Memory(dut.axi, 0, False)
    requests = [(16 * i * BYTES, 1 + 15 * (i % 3 == 2)) for i in range(9)]
    received = []

    async def drive(ctx):
        for request in requests:
            await send(ctx, dut.port, [request], lambda: False)
            await ctx.tick().repeat(4)

    async def collect(ctx):
        for count in (0, 1, 2, 15, len(expected(requests)) - 18):
            await ctx.tick().repeat(60)
            assert sum(beats for _, beats in memory.bursts) <= 32 + len(received)
            received.extend(await receive(ctx, dut.port, count, lambda: False))

    simulate([drive, collect], dut, memory.run)
    assert received == expected(requests)


@pytest.mark.parametrize("response", [2, 3])
def test_an_error_names_its_burst(response):
    dut = AxiReader(CONFIG)
    memory = Memory(dut.axi, 5, True)
    bad = 32 * BYTES
    memory.errors = {bad: response, bad + 16 * BYTES: 2}
    faults = []

    async def drive(ctx):
        await send(ctx, dut.port, [(0, 64)], lambda: False)
        await receive(ctx, dut.port, 64, lambda: False)

    async def watch(ctx):
        async for _, _, fault, decerr, address in ctx.tick().sample(
                dut.fault, dut.decerr, dut.fault_address):
            if fault:
                faults.append((decerr, address))

    simulate([drive], dut, memory.run, watch)
    assert faults == [(response == 3, bad)]


@pytest.mark.parametrize("after", range(0, 60, 3))
@pytest.mark.parametrize("hold", [1, 200])
def test_abort_in_the_middle(after, hold):
    """Abort at any time, as a pulse or a level: then idle, and the next request is correct."""
    dut = AxiReader(CONFIG, fifo_beats=32)
    memory = Memory(dut.axi, after, True)
    requests = [(1024 * BYTES, 33), (5 * BYTES, 2)]
    received = []

    async def drive(ctx):
        ctx.set(dut.port.request.payload, {"address": 7 * BYTES, "beats": 100})
        ctx.set(dut.port.request.valid, 1)
        await ctx.tick().repeat(after + 1)
        ctx.set(dut.port.request.valid, 0)
        ctx.set(dut.abort, 1)
        await ctx.tick().repeat(hold)
        ctx.set(dut.abort, 0)
        if hold > 1:
            assert ctx.get(dut.idle) and not memory.queue
        await send(ctx, dut.port, requests, lambda: False)

    async def collect(ctx):
        await ctx.tick().repeat(after + 1 + hold)
        received.extend(await receive(ctx, dut.port, 35, lambda: False))

    simulate([drive, collect], dut, memory.run)
    assert received == expected(requests)


@pytest.mark.parametrize("beats", [16, 48])
def test_fifo_size_is_checked(beats):
    with pytest.raises(ValueError, match=f"a power of two of at least 32, got {beats}"):
        check_fifo_beats(beats)
