"""AxiWriter against a memory model: contents, throughput, errors, abort."""

import random

import pytest
from amaranth.sim import Simulator

from hqdm.rtl.bus.writer import AxiWriter
from hqdm.rtl.interfaces import WRITE_WORDS
from hqdm.spec import PRESETS

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


class Words:
    """The store unit's side: a word in four cycles at most, no more than the writer holds."""

    def __init__(self, dut):
        self.word, self.inside = dut.word, 0

    async def count(self, ctx):
        """In the background: words that have left."""
        async for _, _, taken in ctx.tick().sample(self.word.taken):
            self.inside -= taken

    async def one(self, ctx, address: int, data: int) -> None:
        """Announce a word, then its groups."""
        ctx.set(self.word.announce, 1)
        ctx.set(self.word.address, address)
        for group in range(4):
            ctx.set(self.word.push, 1)
            ctx.set(self.word.group, group)
            ctx.set(self.word.data, data >> group * BITS // 2 & (1 << BITS // 2) - 1)
            await ctx.tick()
            ctx.set(self.word.announce, 0)
        ctx.set(self.word.push, 0)
        self.inside += 1

    async def send(self, ctx, words, gap=lambda: False) -> None:
        for address, data in words:
            while gap() or self.inside == WRITE_WORDS:
                await ctx.tick()
            await self.one(ctx, address, data)


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
    source = Words(dut)
    memory = Memory(dut.axi, seed, stalls)
    words = random_words(seed, 60)

    async def drive(ctx):
        assert ctx.get(dut.idle)
        await source.send(ctx, words, lambda: stalls and rng.random() < 0.4)
        assert not ctx.get(dut.idle)
        await settle(ctx, dut)

    simulate(drive, dut, source.count, memory.run)
    assert memory.contents == dict(words)
    assert memory.addresses == [a for a, _ in words]


def test_the_bus_is_kept_busy():
    """What has piled up goes out at a beat per cycle, a word in two cycles."""
    dut = AxiWriter(CONFIG)
    source = Words(dut)
    beats = []

    async def drive(ctx):
        await source.send(ctx, random_words(3, WRITE_WORDS))
        ctx.set(dut.axi.awready, 1)
        await ctx.tick().repeat(2 * WRITE_WORDS)
        ctx.set(dut.axi.wready, 1)
        await ctx.tick()
        async for _, _, beat in ctx.tick().sample(dut.handshake):
            beats.append(beat)
            if len(beats) == 2 * WRITE_WORDS:
                return

    simulate(drive, dut, source.count)
    assert all(beats)


def test_outstanding_bursts_are_limited():
    """A slave that takes everything and answers nothing gets `max_outstanding` bursts."""
    dut = AxiWriter(CONFIG)
    source = Words(dut)
    addresses = []

    async def drive(ctx):
        ctx.set(dut.axi.awready, 1)
        ctx.set(dut.axi.wready, 1)
        await source.send(ctx, random_words(1, CONFIG.max_outstanding + WRITE_WORDS))
        await ctx.tick().repeat(20)
        assert len(addresses) == CONFIG.max_outstanding
        assert source.inside == WRITE_WORDS

    async def watch(ctx):
        async for _, _, valid, address in ctx.tick().sample(dut.axi.awvalid, dut.axi.awaddr):
            if valid:
                addresses.append(address)

    simulate(drive, dut, source.count, watch)


@pytest.mark.parametrize("response", [2, 3])
def test_an_error_names_its_burst(response):
    dut = AxiWriter(CONFIG)
    source = Words(dut)
    memory = Memory(dut.axi, 4, True)
    words = random_words(4, 20)
    memory.errors = {words[11][0]: response, words[12][0]: 2}
    faults = []

    async def drive(ctx):
        await source.send(ctx, words)
        await settle(ctx, dut)
        await ctx.tick().repeat(2)

    async def watch(ctx):
        async for _, _, fault, decerr, address in ctx.tick().sample(
                dut.fault, dut.decerr, dut.fault_address):
            if fault:
                faults.append((decerr, address))

    simulate(drive, dut, source.count, memory.run, watch)
    assert faults == [(response == 3, words[11][0])]


@pytest.mark.parametrize("after", range(1, 40, 3))
@pytest.mark.parametrize("hold", [1, 200])
def test_abort_in_the_middle(after, hold):
    """Abort at any time: every address gets its two beats, then everything works again."""
    dut = AxiWriter(CONFIG)
    source = Words(dut)
    memory = Memory(dut.axi, after, True)
    words = random_words(after, 30)
    late = [(a + (1 << 20), d) for a, d in random_words(after + 100, 10)]

    async def drive(ctx):
        await source.send(ctx, words[:after // 2])
        if after % 2:       # in the middle of a word
            ctx.set(dut.word.announce, 1)
            ctx.set(dut.word.push, 1)
            ctx.set(dut.word.group, 0)
            await ctx.tick()
            ctx.set(dut.word.announce, 0)
            ctx.set(dut.word.push, 0)
        await ctx.tick().repeat(1 + after % 5)
        ctx.set(dut.abort, 1)
        await ctx.tick().repeat(hold)
        ctx.set(dut.abort, 0)
        if hold > 1:
            assert ctx.get(dut.idle)
        else:
            await settle(ctx, dut)
        await ctx.tick()
        source.inside = 0
        await source.send(ctx, late)
        await settle(ctx, dut)

    simulate(drive, dut, source.count, memory.run)
    assert len(memory.beats) == 2 * len(memory.addresses)
    assert {a: d for a, d in memory.contents.items() if a >= 1 << 20} == dict(late)
    written = {a: d for a, d in memory.contents.items() if a < 1 << 20}
    assert written.items() <= dict(words).items()
