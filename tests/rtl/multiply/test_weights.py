"""The weight gearbox: 2-, 3- and 4-bit tiles to rows, with gaps and at full rate."""

import random

import pytest
import torch
from amaranth.sim import Simulator

from hqdm.firmware.compile.packing import pack_weights
from hqdm.rtl.multiply.weights import WeightUnpack
from hqdm.spec import PRESETS
from hqdm.spec.fixed import weight_range


def rows_of(weights, n):
    """Rows of every tile in stream order, from the weights themselves."""
    out_words, words = weights.shape[0] // n, weights.shape[1] // n
    return [weights[o * n:(o + 1) * n, w * n + r, 0, 0].tolist()
            for o in range(out_words) for w in range(words) for r in range(n)]


def weights_of(row, bits, n):
    """The n weights of a row."""
    units = row.units >> (n if row.three and row.other else 0)
    fields = [units >> bits * c & (1 << bits) - 1 for c in range(n)]
    return [field - (field >> bits - 1 << bits) for field in fields]


@pytest.mark.parametrize("gap", [0.0, 0.4])
@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("name", ["n4", "n8", "n16"])
def test_rows_of_packed_tiles(name, bits, gap):
    config, generator = PRESETS[name], random.Random(bits)
    n, (low, high) = config.n, weight_range(bits)
    weights = torch.randint(low, high + 1, (2 * n, 3 * n, 1, 1), dtype=torch.int16,
                            generator=torch.Generator().manual_seed(bits))
    image = pack_weights(weights, (3 * n,), bits, n)
    beats = [int.from_bytes(image[i:i + n], "little") for i in range(0, len(image), n)]
    assert len(beats) == 6 * config.weight_tile_beats(bits)
    dut, rows, cycles = WeightUnpack(config), [], []

    async def send(ctx):
        for beat in beats:
            while generator.random() < gap:
                await ctx.tick()
            ctx.set(dut.i.payload, beat)
            ctx.set(dut.i.valid, 1)
            ready = 0
            while not ready:
                _, _, ready = await ctx.tick().sample(dut.i.ready)
            ctx.set(dut.i.valid, 0)

    async def receive(ctx):
        ctx.set(dut.bits, bits)
        cycle = 0
        while len(rows) < 6 * n:
            ctx.set(dut.o.ready, generator.random() >= gap)
            _, _, valid, ready, payload = await ctx.tick().sample(
                dut.o.valid, dut.o.ready, dut.o.payload)
            cycle += 1
            assert cycle < 5000
            if valid and ready:
                rows.append(weights_of(payload, bits, n))
                cycles.append(cycle)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(receive)
    simulator.add_testbench(send, background=True)
    simulator.run()
    assert rows == rows_of(weights, n)
    if gap == 0:    # a beat in every cycle that has room: rows follow without a pause
        padded = 8 * config.weight_tile_beats(bits) - n * bits
        assert cycles[-1] - cycles[0] < 6 * n + (6 if padded else 0)
