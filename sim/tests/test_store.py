"""The store unit under Verilator, between a memory, accumulator banks and a writer that stall."""

import os
import random
from itertools import cycle

import cocotb
import pytest
from cocotb.triggers import RisingEdge

from hqdm.rtl.interfaces import DESCRIPTOR_LAYOUT, STEP_LAYOUT
from hqdm.rtl.store.unit import StoreUnit
from hqdm.sim.runner import run_block
from hqdm.sim.store_case import StoreCase, random_store
from hqdm.sim.streams import StreamPort, pack, start
from hqdm.spec import PRESETS

LAYERS = ((24, (6, 7), 4, "none"), (17, (5, 6), 2, "add"), (40, (7, 5), 7, "subtract"),
          (21, (7, 3), 3, "row scale"), (1, (1, 1), 1, "add"), (9, (8, 1), 3, "subtract"),
          (40, (9, 1), 4, "row scale"), (1, (1, 1), 1, "row scale"), (8, (3, 3), 3, "none"))
STALLS = (0.0, 0.5)


def bits_of(layout, values: dict[str, int]) -> int:
    """A flexible layout's bits with these fields set."""
    return sum(value << layout[name].offset for name, value in values.items())


class Bench:
    """Memory, banks and writer around the unit."""

    def __init__(self, dut, case: StoreCase, stall: float, generator: random.Random):
        self.dut, self.case, self.stall, self.random = dut, case, stall, generator
        self.written: dict[int, int] = {}

    def go(self) -> int:
        return int(self.random.random() >= self.stall)

    async def serve_reads(self):
        config, beats = self.case.config, []
        request, beat = StreamPort(self.dut, "read__request"), StreamPort(self.dut, "read__beat")
        while True:
            request.ready.value = ready = int(len(beats) < 60) & self.go()
            beat.valid.value = offer = int(bool(beats)) & self.go()
            beat.payload.value = self.case.memory[beats[0]] if offer else 0
            await RisingEdge(self.dut.clk)
            if offer and int(beat.ready.value):
                beats.pop(0)
            if ready and int(request.valid.value):
                payload = int(request.payload.value)
                address = payload & (1 << config.address_bits) - 1
                beats += [address + i * config.bus_bytes
                          for i in range(payload >> config.address_bits)]

    async def serve_banks(self):
        dut, width = self.dut, 32 * self.case.config.n
        for side, bank in zip(cycle((0, 1)), self.case.banks(), strict=False):
            while not self.go():
                await RisingEdge(dut.clk)
            dut.accumulator__ready.value = 1
            last = 0            # the address of the cycle before
            took = None         # the address taken in the cycle before
            while True:
                await RisingEdge(dut.clk)
                if took is not None:
                    dut.accumulator__bank.value = side
                    dut.accumulator__data.value = pack(bank[took], 32) << side * width
                took = last if int(dut.accumulator__take.value) else None
                last = min(int(dut.accumulator__address.value), len(bank) - 1)
                if int(dut.accumulator__release.value):
                    break
            dut.accumulator__ready.value = 0
            await RisingEdge(dut.clk)

    async def take_words(self):
        dut, half = self.dut, self.case.config.bus_bits // 2
        addresses, complete, data = [], 0, 0
        while True:
            dut.word__taken.value = taken = int(complete > 0) & self.go()
            await RisingEdge(dut.clk)
            complete -= taken
            if int(dut.word__announce.value):
                addresses.append(int(dut.word__address.value))
            if int(dut.word__push.value):
                group = int(dut.word__group.value)
                data |= int(dut.word__data.value) << group * half
                if group == 3:
                    self.written[addresses.pop(0)] = data
                    complete, data = complete + 1, 0

    async def run(self):
        """One layer from start to done."""
        dut = self.dut
        dut.layer.value = bits_of(DESCRIPTOR_LAYOUT, self.case.descriptor())
        dut.step.value = bits_of(STEP_LAYOUT, self.case.step())
        tasks = [cocotb.start_soon(process())
                 for process in (self.serve_reads, self.serve_banks, self.take_words)]
        dut.start.value = 1
        await RisingEdge(dut.clk)
        dut.start.value = 0
        await RisingEdge(dut.clk)
        while not int(dut.done.value):
            await RisingEdge(dut.clk)
        for task in tasks:
            task.cancel()
        dut.word__taken.value = dut.read__beat__valid.value = dut.read__request__ready.value = 0


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def equals_golden(dut):
    """Layer after layer, every word, bit for bit."""
    generator = random.Random(cocotb.RANDOM_SEED)
    await start(dut, layer=0, step=0, start=0, accumulator__ready=0, accumulator__data=0,
                accumulator__bank=0, read__request__ready=0, read__beat__valid=0,
                read__beat__payload=0, word__taken=0)
    for stall in STALLS:
        for layer in LAYERS:
            case = random_store(os.environ["CONFIG"], *layer, generator.getrandbits(32))
            bench = Bench(dut, case, stall, generator)
            await bench.run()
            assert bench.written == case.expected(), (layer, stall)


@pytest.mark.parametrize("name", ["n4", "n8"])
def test_store(name):
    run_block(StoreUnit(PRESETS[name]), f"store_{name}", __name__, seed=11,
              parameters={"CONFIG": name})
