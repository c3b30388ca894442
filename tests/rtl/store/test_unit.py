"""StoreUnit against hqdm.golden.store with random stalls, and its throughput without."""

import random
from itertools import cycle

import pytest
from amaranth.sim import Simulator

from hqdm.rtl.interfaces import WRITE_WORDS
from hqdm.rtl.store.unit import StoreUnit
from hqdm.sim.store_case import StoreCase, random_store


class Bench:
    """StoreUnit between a memory, accumulator banks and a writer, each with its stalls."""

    def __init__(self, cases: list[StoreCase], stall: float):
        self.cases, self.stall = cases, stall
        self.case = cases[0]
        self.dut = StoreUnit(self.case.config)
        self.random = random.Random(self.case.seed)
        self.written: dict[int, int] = {}
        self.cycles = 0
        self.waited = 0

    def go(self) -> bool:
        return self.random.random() >= self.stall

    async def serve_reads(self, ctx):
        port, beats = self.dut.read, []
        while True:
            ctx.set(port.request.ready, len(beats) < 60 and self.go())
            offer = bool(beats) and self.go()
            ctx.set(port.beat.valid, offer)
            ctx.set(port.beat.payload, self.case.memory[beats[0]] if offer else 0)
            _, _, asked, request, taken = await ctx.tick().sample(
                port.request.valid & port.request.ready, port.request.payload,
                port.beat.valid & port.beat.ready)
            if taken:
                beats.pop(0)
            if asked:
                beats += [request.address + i * self.case.config.bus_bytes
                          for i in range(request.beats)]

    async def serve_banks(self, ctx):
        port = self.dut.accumulator
        banks = [bank for case in self.cases for bank in case.banks()]
        for side, bank in zip(cycle((0, 1)), banks, strict=False):
            while not self.go():
                await ctx.tick()
            ctx.set(port.ready, 1)
            read: list[int] = []
            release, last = False, 0        # last: the address of the cycle before
            took = None                     # the address taken in the cycle before
            while not release:
                _, _, take, address, release = await ctx.tick().sample(
                    port.take, port.address, port.release)
                if took is not None:
                    ctx.set(port.bank, side)
                    ctx.set(port.data[side], bank[took])
                took = last if take else None
                if take:
                    read.append(last)
                last = min(address, len(bank) - 1)
            assert read == list(range(len(bank)))
            ctx.set(port.ready, 0)
            if self.stall:
                await ctx.tick().repeat(2)
                ctx.set(port.data, [[-1] * self.case.config.n] * 2)

    async def take_words(self, ctx):
        word, half = self.dut.word, self.case.config.bus_bits // 2
        addresses, complete, data = [], 0, 0
        while True:
            ctx.set(word.taken, taken := int(complete > 0 and self.go()))
            _, _, announce, address, push, group, part = await ctx.tick().sample(
                word.announce, word.address, word.push, word.group, word.data)
            complete -= taken
            if announce:
                addresses.append(address)
            if push:
                data |= part << group * half
            if push and group == 3:
                assert addresses[0] not in self.written
                self.written[addresses.pop(0)] = data
                complete, data = complete + 1, 0
            assert complete + len(addresses) <= WRITE_WORDS

    async def run_layer(self, ctx):
        dut = self.dut
        for name, value in self.case.descriptor().items():
            ctx.set(getattr(dut.layer, name), value)
        for name, value in self.case.step().items():
            ctx.set(getattr(dut.step, name), value)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        assert not ctx.get(dut.done)
        while not ctx.get(dut.done):
            _, _, waiting = await ctx.tick().sample(dut.waiting_memory)
            self.cycles += 1
            self.waited += waiting
            assert self.cycles < 20000, "the layer does not end"
        await ctx.tick().repeat(3)

    async def run_layers(self, ctx):
        for case in self.cases:
            self.case = case
            self.written.clear()
            await self.run_layer(ctx)
            assert self.written == case.expected()

    def run(self) -> None:
        """Run the layers one after the other and compare each with golden."""
        sim = Simulator(self.dut)
        sim.add_clock(1e-6)
        for process in (self.serve_reads, self.serve_banks, self.take_words):
            sim.add_testbench(process, background=True)
        sim.add_testbench(self.run_layers)
        sim.run()


@pytest.mark.parametrize("seed, name, channels, size, tile_rows, operand", [
    (1, "n4", 9, (5, 6), 2, "none"), (2, "n4", 9, (5, 6), 2, "add"),
    (3, "n4", 4, (1, 1), 1, "subtract"), (4, "n4", 1, (3, 1), 3, "add"),
    (5, "n8", 24, (4, 5), 3, "subtract"), (6, "n8", 17, (4, 5), 1, "none"),
    (7, "n8", 8, (9, 1), 4, "add"), (8, "n16", 16, (3, 3), 2, "add"),
    (9, "n8", 40, (1, 1), 1, "none"), (10, "n8", 40, (2, 1), 1, "add"),
    (11, "n4", 9, (5, 6), 2, "row scale"), (12, "n8", 17, (20, 1), 7, "row scale"),
    (13, "n16", 16, (9, 1), 4, "row scale"), (14, "n4", 1, (1, 1), 1, "row scale"),
])
@pytest.mark.parametrize("stall", [0.0, 0.4, 0.8])
def test_layer_equals_golden(seed, name, channels, size, tile_rows, operand, stall):
    Bench([random_store(name, channels, size, tile_rows, operand, seed)], stall).run()


@pytest.mark.parametrize("operand", ["none", "add", "row scale"])
def test_four_cycles_per_word(operand):
    """No stalls: four cycles a word, one more a bank, and the way in and out."""
    bench = Bench([random_store("n8", 40, (8, 4), 4, operand, 20)], 0.0)
    bench.run()
    banks, words = 10, 160
    assert bench.cycles <= 4 * words + banks + bench.dut.latency + 20


def test_waiting_memory_counts_stalls_of_the_bus():
    """Nothing is blamed on a fast memory but the first fetch; a slow one is blamed."""
    fast, slow = (Bench([random_store("n8", 16, (4, 4), 4, "add", 21)], stall)
                  for stall in (0.0, 0.85))
    fast.run()
    slow.run()
    assert fast.waited <= 12
    assert slow.waited > slow.cycles // 2


def test_layers_follow_each_other():
    """Nothing is left behind: the same unit runs different layers."""
    Bench([random_store("n8", 20, (3, 4), 2, "add", 30),
           random_store("n8", 9, (5, 2), 3, "none", 31),
           random_store("n8", 11, (6, 1), 3, "row scale", 33),
           random_store("n8", 12, (2, 3), 2, "subtract", 32),
           random_store("n8", 9, (2, 2), 1, "none", 34)], 0.3).run()
