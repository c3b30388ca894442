"""AxiWriter against a memory model: contents, throughput, errors, abort."""

import random

import pytest
from amaranth.sim import Simulator

from rtl.bus.writer import AxiWriter
from spec import PRESETS

CONFIG = PRESETS["n8"]
BITS = CONFIG.bus_bits


class Memory:
    """AXI write slave: AW and W accepted independently, answers in order."""

    def __init__(self, axi, seed: int, stalls: bool):
        self.axi, self.stalls = axi, stalls
        self.random = random.Random(seed)
        self.addresses: list[int] = []
        self.beats: list[int] = []
        self.errors: dict[int, int] = {}
        self.contents: dict[int, int] = {}
        self.answered = 0
        self.offered: dict[str, tuple[int, ...]] = {}

    def check_stable(self, name: str, valid: int, ready: int, payload: tuple[int, ...]) -> bool:
        """An offer may not change until taken; returns "taken"."""
        if name in self.offered:
            assert valid and payload == self.offered[name], f"{name}: the offer changed"
        self.offered.pop(name, None)
        if valid and not ready:
            self.offered[name] = payload
        return bool(valid and ready)

    def go(self) -> int:
        return int(not self.stalls or self.random.random() < 0.5)

    def store(self) -> int | None:
        """The next complete burst: write it, return its response."""
        index = self.answered
        if index >= len(self.addresses) or len(self.beats) < 2 * index + 2:
            return None
        self.answered += 1
        address = self.addresses[index]
        assert address % CONFIG.word_bytes == 0
        self.contents[address] = self.beats[2 * index] | self.beats[2 * index + 1] << BITS
        return self.errors.get(address, 0)

    async def run(self, ctx):
        axi, aw, w = self.axi, 0, 0
        while True:
            _, _, awvalid, awaddr, awlen, wvalid, wdata, wlast, wstrb, bready = (
                await ctx.tick().sample(axi.awvalid, axi.awaddr, axi.awlen, axi.wvalid,
                                        axi.wdata, axi.wlast, axi.wstrb, axi.bready))
            assert bready
            if self.check_stable("aw", awvalid, aw, (awaddr, awlen)):
                assert awlen == 1
                self.addresses.append(awaddr)
            if self.check_stable("w", wvalid, w, (wdata, wlast)):
                assert wlast == len(self.beats) % 2 and wstrb == (1 << BITS // 8) - 1
                self.beats.append(wdata)
            aw, w = self.go(), self.go()
            ctx.set(axi.awready, aw)
            ctx.set(axi.wready, w)
            response = self.store() if self.go() else None
            ctx.set(axi.bvalid, response is not None)
            ctx.set(axi.bresp, response or 0)


def random_words(seed: int, count: int) -> list[tuple[int, int]]:
    rng = random.Random(seed)
    addresses = rng.sample(range(1 << 12), count)
    return [(a * CONFIG.word_bytes, rng.getrandbits(2 * BITS)) for a in addresses]


async def send(ctx, dut, words, gap=lambda: False) -> None:
    for address, data in words:
        while gap():
            await ctx.tick()
        ctx.set(dut.word.payload, {"address": address, "data": data})
        ctx.set(dut.word.valid, 1)
        await ctx.tick().until(dut.word.ready)
        ctx.set(dut.word.valid, 0)


async def settle(ctx, dut) -> None:
    """Wait until the writer is idle."""
    for _ in range(1000):
        if ctx.get(dut.idle):
            return
        await ctx.tick()
    raise AssertionError("the writer did not become idle")


def simulate(testbench, dut, *background) -> None:
    sim = Simulator(dut)
    sim.add_clock(1e-6)
    for process in background:
        sim.add_testbench(process, background=True)
    sim.add_testbench(testbench)
    sim.run()


@pytest.mark.parametrize("stalls", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_word_is_written(seed, stalls):
    rng = random.Random(seed)
    dut = AxiWriter(CONFIG)
    memory = Memory(dut.axi, seed, stalls)
    words = random_words(seed, 60)

    async def drive(ctx):
        assert ctx.get(dut.idle)
        await send(ctx, dut, words, lambda: stalls and rng.random() < 0.4)
        assert not ctx.get(dut.idle)
        await settle(ctx, dut)

    simulate(drive, dut, memory.run)
    assert memory.contents == dict(words)
    assert memory.addresses == [a for a, _ in words]


def test_one_word_in_two_cycles():
    dut = AxiWriter(CONFIG)
    memory = Memory(dut.axi, 0, False)
    beats = []

    async def drive(ctx):
        await send(ctx, dut, random_words(3, 64))
        await settle(ctx, dut)

    async def watch(ctx):
        async for _, _, beat in ctx.tick().sample(dut.handshake):
            beats.append(beat)

    simulate(drive, dut, memory.run, watch)
    first = beats.index(1)
    assert all(beats[first:first + 128])


def test_outstanding_bursts_are_limited():
    """A slave that takes everything and answers nothing gets `max_outstanding` bursts."""
    dut = AxiWriter(CONFIG)

    async def drive(ctx):
        ctx.set(dut.axi.awready, 1)
        ctx.set(dut.axi.wready, 1)
        ctx.set(dut.word.valid, 1)
        addresses = 0
        for _ in range(300):
            _, _, valid = await ctx.tick().sample(dut.axi.awvalid)
            addresses += valid
        assert addresses == CONFIG.max_outstanding
        assert not ctx.get(dut.word.ready)

    simulate(drive, dut)


@pytest.mark.parametrize("response", [2, 3])
def test_an_error_names_its_burst(response):
    dut = AxiWriter(CONFIG)
    memory = Memory(dut.axi, 4, True)
    words = random_words(4, 20)
    memory.errors = {words[11][0]: response, words[12][0]: 2}
    faults = []

    async def drive(ctx):
        await send(ctx, dut, words)
        await settle(ctx, dut)
        await ctx.tick().repeat(2)

    async def watch(ctx):
        async for _, _, fault, decerr, address in ctx.tick().sample(
                dut.fault, dut.decerr, dut.fault_address):
            if fault:
                faults.append((decerr, address))

    simulate(drive, dut, memory.run, watch)
    assert faults == [(response == 3, words[11][0])]


@pytest.mark.parametrize("after", range(1, 40, 2))
@pytest.mark.parametrize("hold", [1, 200])
def test_abort_in_the_middle(after, hold):
    """Abort at any time: every address gets its two beats, then everything works again."""
    dut = AxiWriter(CONFIG)
    memory = Memory(dut.axi, after, True)
    words = random_words(after, 30)
    late = [(a + (1 << 20), d) for a, d in random_words(after + 100, 10)]

    async def drive(ctx):
        ctx.set(dut.word.valid, 1)
        for address, data in words[:after]:
            ctx.set(dut.word.payload, {"address": address, "data": data})
            await ctx.tick()
        ctx.set(dut.abort, 1)
        await ctx.tick().repeat(hold)
        ctx.set(dut.abort, 0)
        if hold > 1:
            assert ctx.get(dut.idle)
        await send(ctx, dut, late)
        await settle(ctx, dut)

    simulate(drive, dut, memory.run)
    assert len(memory.beats) == 2 * len(memory.addresses)
    assert {a: d for a, d in memory.contents.items() if a >= 1 << 20} == dict(late)
    written = {a: d for a, d in memory.contents.items() if a < 1 << 20}
    assert written.items() <= dict(words).items()
