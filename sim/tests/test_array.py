"""The systolic array under Verilator: weight swaps at full rate, against an integer product."""

import random
from dataclasses import replace

import cocotb
import pytest
import torch
from cocotb.triggers import RisingEdge

from hqdm.rtl.multiply.array import SystolicArray
from hqdm.sim.runner import run_block
from hqdm.sim.streams import pack, start, unpack
from hqdm.spec import PRESETS, Config

WORDS = {c.n: c for c in PRESETS.values()}
CELLS = {"packed": {}, "booth": {"cell": "booth"}, "multiply": {"cell": "multiply"},
         "both": {"booth_rows": 2}}


class Bench:
    """Drives passes of random length and collects the skewed sums."""

    def __init__(self, dut, config: Config, generator: random.Random):
        self.dut, self.config, self.random = dut, config, generator
        self.array = SystolicArray(config)
        high = (1 << config.operand_bits - 1) - 1
        self.operand = lambda: generator.choice((generator.randint(-high - 1, high), -high - 1))
        self.expected: list[list[int]] = []
        self.sums: list[list[int]] = []

    def golden(self, column, tile):
        product = torch.tensor(column, dtype=torch.int64) @ torch.tensor(tile, dtype=torch.int64)
        return product.tolist()

    async def push(self, tile):
        """One row of weights per cycle."""
        for r, row in enumerate(tile):
            self.dut.weight_enable.value = 1
            self.dut.weight_index.value = r
            self.dut.weight_row.value = pack(row, 4)
            await RisingEdge(self.dut.clk)
        self.dut.weight_enable.value = 0

    async def capture(self, cycle, column):
        """Column c is there `latency + skew(c)` cycles after the operands."""
        n, bits = self.config.n, self.config.partial_sum_bits
        await self.dut_cycles(self.array.latency)
        for c in range(n):
            if c == 0 or self.array.skew(c) > self.array.skew(c - 1):
                await RisingEdge(self.dut.clk)
            self.sums[cycle][c] = unpack(int(self.dut.sums.value), bits, n)[c]

    async def dut_cycles(self, count):
        for _ in range(count):
            await RisingEdge(self.dut.clk)

    async def run(self, lengths):
        n = self.config.n
        tiles = [[[self.random.randint(-8, 7) for _ in range(n)] for _ in range(n)]
                 for _ in lengths]
        await self.push(tiles[0])
        self.dut.swap.value = 1
        for i, length in enumerate(lengths):
            for p in range(length):
                # the next tile may follow its predecessor's swap at once, row by row
                if p == 0 and i + 1 < len(tiles):
                    cocotb.start_soon(self.push(tiles[i + 1]))
                await RisingEdge(self.dut.clk)
                column = [self.operand() for _ in range(n)]
                self.dut.swap.value = int(p == length - 1)
                self.dut.operands.value = pack(column, self.config.operand_bits)
                self.expected.append(self.golden(column, tiles[i]))
                self.sums.append([0] * n)
                cocotb.start_soon(self.capture(len(self.sums) - 1, column))
        await self.dut_cycles(3 * n + 4)
        assert self.sums == self.expected


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def passes(dut):
    """Passes of n operands or more follow each other without a gap."""
    n = len(dut.weight_row) // 4
    generator = random.Random(cocotb.RANDOM_SEED)
    await start(dut, operands=0, swap=0, weight_enable=0, weight_index=0, weight_row=0)
    await Bench(dut, WORDS[n], generator).run([n, n, n + 1, n, 3 * n, n, 2 * n, n])


@pytest.mark.parametrize("name, cell", [("n8", "packed"), *(("n4", cell) for cell in CELLS)])
@pytest.mark.parametrize("seed", [1, 2])
def test_array(name, cell, seed):
    config = replace(PRESETS[name], **CELLS[cell])
    run_block(SystolicArray(config), f"array_{name}_{cell}", __name__, seed=seed)
