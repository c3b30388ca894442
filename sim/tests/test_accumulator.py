"""The partial sums under Verilator: shortest passes over the same addresses, bank hand-over."""

import random

import cocotb
from cocotb.queue import Queue
from cocotb.triggers import RisingEdge

from hqdm.rtl.multiply.accumulator import MIN_PASS, Accumulator, control_layout
from hqdm.sim.runner import run_block
from hqdm.sim.streams import pack, start, unpack
from hqdm.spec import PRESETS

CONFIG = PRESETS["n4"]
LATENCY = CONFIG.n


def control(**fields) -> int:
    """Bits of `control_layout`."""
    layout = control_layout(CONFIG)
    return sum(value << layout[name].offset for name, value in fields.items())


class Bench:
    """Sends passes, keeps the sums an exact int32 memory would hold, and reads both banks."""

    def __init__(self, dut, generator):
        self.dut, self.random = dut, generator
        self.bits = CONFIG.partial_sum_bits
        self.model = {}

    async def skewed(self, sums):
        """Column c of the sums arrives `LATENCY + c // 2` cycles after its control."""
        for _ in range(LATENCY):
            await RisingEdge(self.dut.clk)
        for c in range(0, CONFIG.n, 2):
            self.columns[c:c + 2] = sums[c:c + 2]
            self.dut.sums.value = pack(self.columns, self.bits)
            await RisingEdge(self.dut.clk)

    async def one_pass(self, bank, length, first, shift, last):
        for address in range(length):
            limit = 1 << self.bits - 1
            sums = [self.random.randint(-limit, limit - 1) for _ in range(CONFIG.n)]
            old = [0] * CONFIG.n if first else self.model[bank, address]
            self.model[bank, address] = [o + (s << 4 * shift) for o, s in
                                         zip(old, sums, strict=True)]
            self.dut.control.value = control(
                valid=1, address=address, first=first, shift=shift, bank=bank,
                last=last and address == length - 1)
            cocotb.start_soon(self.skewed(sums))
            await RisingEdge(self.dut.clk)
            self.dut.claim.value = 0
        self.dut.control.value = 0

    async def reader(self):
        while True:
            await self.check(*await self.words.get())

    async def check(self, bank, length):
        while not int(self.dut.read__ready.value):
            await RisingEdge(self.dut.clk)
        for address in range(length):
            self.dut.read__address.value = address
            await RisingEdge(self.dut.clk)
            self.dut.read__take.value = 1
            self.dut.read__release.value = int(address == length - 1)
            await RisingEdge(self.dut.clk)
            self.dut.read__take.value = 0
            self.dut.read__release.value = 0
            await RisingEdge(self.dut.clk)
            await RisingEdge(self.dut.clk)
            got = unpack(int(self.dut.read__data.value), 32, 2 * CONFIG.n)
            got = got[CONFIG.n:] if int(self.dut.read__bank.value) else got[:CONFIG.n]
            assert got == self.model[bank, address], (bank, address)
        self.checked += 1

    async def run(self, words):
        self.columns, self.checked, self.words = [0] * CONFIG.n, 0, Queue()
        cocotb.start_soon(self.reader())
        for word in range(words):
            bank, length = word % 2, self.random.choice((MIN_PASS, MIN_PASS, MIN_PASS + 1, 9))
            while not int(self.dut.free.value):
                await RisingEdge(self.dut.clk)
            assert int(self.dut.write_bank.value) == bank
            self.dut.claim.value = 1
            passes = self.random.randint(1, 6)
            for i in range(passes):
                await self.one_pass(bank, length, i == 0, self.random.randrange(3),
                                    i == passes - 1)
            self.words.put_nowait((bank, length))
        for _ in range(200):
            await RisingEdge(self.dut.clk)
        assert self.checked == words


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def shortest_passes(dut):
    """A sum is added to again after MIN_PASS cycles, the closest the sequencer allows."""
    await start(dut, control=0, sums=0, claim=0, read__take=0, read__address=0,
                read__release=0)
    await Bench(dut, random.Random(cocotb.RANDOM_SEED)).run(40)


def test_hazards():
    run_block(Accumulator(CONFIG, array_latency=LATENCY), "accumulator", __name__, seed=5)
