"""MultiplyUnit against the golden partial sums: the whole loop nest, operands given, sums read."""

import random
from dataclasses import asdict

import numpy as np
import pytest
import torch
from amaranth.sim import Simulator

from hqdm.cycles.tiling import TilePlan, candidates, tile_source_rows
from hqdm.firmware.compile.layers import compile_layer
from hqdm.firmware.compile.packing import pack_weights
from hqdm.golden.load.operands import load_nibbles, load_operands
from hqdm.golden.multiply import partial_sums
from hqdm.golden.random import random_layer, random_parameters, random_sources
from hqdm.rtl.multiply.unit import MultiplyUnit
from hqdm.spec import PRESETS, Layer, Load, Multiply


def operand_words(layer, config, parts):
    """Operands of nibble planes as (nibble, word, H, W, n), each source padded to whole words."""
    planes = []
    for part in parts:
        up = layer.load.upsample
        u = part[:, ::up, ::up].numpy()         # width rotation keeps the copies equal
        sources = np.split(u, np.cumsum(layer.load.channels)[:-1], axis=0)
        padded = [np.pad(s, ((0, -s.shape[0] % config.n), (0, 0), (0, 0))) for s in sources]
        words = np.concatenate(padded).reshape(-1, config.n, *u.shape[1:])
        planes.append(words.transpose(0, 2, 3, 1))      # (word, H, W, n)
    return np.stack(planes)


class Bench:
    """Feeds a MultiplyUnit as the load unit, the weight memory and the store unit would."""

    def __init__(self, layer: Layer, config, seed: int, gap: float,
                 tiles: TilePlan | None = None):
        self.layer, self.config, self.gap = layer, config, gap
        self.random = random.Random(seed)
        generator = torch.Generator().manual_seed(seed)
        self.parameters = random_parameters(layer, generator)
        sources, _ = random_sources(layer, self.parameters, 0, generator)
        self.program = compile_layer(layer, self.parameters, config, tiles=tiles)
        self.words = operand_words(
            layer, config, load_nibbles(layer, self.parameters, sources, 0))
        operands = load_operands(layer, self.parameters, sources, 0)
        self.golden = partial_sums(layer, self.parameters, operands).numpy()
        self.dut = MultiplyUnit(config)
        self.sums = {}
        self.cycle, self.busy = 0, []       # cycles in which the array took operands

    def pause(self):
        return self.random.random() < self.gap

    def tiles(self):
        """(first output row, output rows, first source row, source rows) of every tile."""
        m, rows = self.layer.multiply, self.program.plan.tile_rows
        counts = tile_source_rows(self.layer, rows)
        for first, count in zip(range(0, self.layer.out_height, rows), counts, strict=True):
            top = max(0, first * m.stride - m.padding) >> (self.layer.load.upsample - 1)
            yield first, min(rows, self.layer.out_height - first), top, count

    async def load(self, ctx):
        plan, write, n = self.program.plan, self.dut.write, self.config.n
        out_words = self.config.words(self.layer.multiply.out_channels)
        for _, _, top, count in self.tiles():
            for _ in range(out_words if plan.chunks > 1 else 1):
                for c in range(plan.chunks):
                    await self._wait(ctx, self.dut.bank_free)
                    part = self.words[:, c * plan.chunk_words:(c + 1) * plan.chunk_words,
                                      top:top + count]
                    for a, w, y, x, half in np.ndindex(*part.shape[:4], 2):
                        address = ((a * plan.chunk_words + w) * plan.plane_words
                                   + y * self.layer.load.width + x)
                        data = part[a, w, y, x, half * n // 2:(half + 1) * n // 2]
                        ctx.set(write.address, address)
                        ctx.set(write.upper, half)
                        ctx.set(write.data, [int(v) for v in data])
                        ctx.set(write.enable, 1)
                        await ctx.tick()
                    ctx.set(write.enable, 0)
                    ctx.set(self.dut.bank_done, 1)
                    await ctx.tick()
                    ctx.set(self.dut.bank_done, 0)
                    ctx.set(write.bank, not ctx.get(write.bank))
                    await ctx.tick()

    async def _wait(self, ctx, signal):
        for _ in range(20000):
            if ctx.get(signal) and not self.pause():
                return
            await ctx.tick()
        raise AssertionError(f"{signal!r} never came")

    async def memory(self, ctx):
        """The weight port: answers requests in order."""
        read, d = self.dut.read, self.program.descriptor
        image = pack_weights(self.parameters.weights, self.layer.load.channels,
                             self.layer.multiply.bits, self.config.n)
        while True:
            ctx.set(read.request.ready, 1)
            valid = 0
            while not valid:
                _, _, valid, request = await ctx.tick().sample(
                    read.request.valid, read.request.payload)
            ctx.set(read.request.ready, 0)
            for i in range(request.beats):
                while self.pause():
                    await ctx.tick()
                at = request.address - d.weights + i * self.config.bus_bytes
                beat = image[at:at + self.config.bus_bytes]
                assert len(beat) == self.config.bus_bytes, "read beyond the weight stream"
                ctx.set(read.beat.payload, int.from_bytes(beat, "little"))
                ctx.set(read.beat.valid, 1)
                ready = 0
                while not ready:
                    _, _, ready = await ctx.tick().sample(read.beat.ready)
                ctx.set(read.beat.valid, 0)

    async def store(self, ctx):
        port = self.dut.accumulator
        for first, rows, _, _ in self.tiles():
            for o in range(self.config.words(self.layer.multiply.out_channels)):
                await self._wait(ctx, port.ready)
                for p in range(rows * self.layer.out_width):
                    ctx.set(port.address, p)
                    await ctx.tick()
                    ctx.set(port.take, 1)
                    await ctx.tick()
                    ctx.set(port.take, 0)
                    await ctx.tick()
                    y, x = divmod(p, self.layer.out_width)
                    self.sums[first + y, x, o] = list(ctx.get(port.data)[ctx.get(port.bank)])
                ctx.set(port.release, 1)
                await ctx.tick()
                ctx.set(port.release, 0)
                await ctx.tick()

    async def watch(self, ctx):
        while True:
            _, _, busy, overflow = await ctx.tick().sample(self.dut.busy, self.dut.overflow)
            assert not overflow
            self.cycle += 1
            self.busy += [self.cycle] if busy else []

    async def main(self, ctx):
        for name, value in asdict(self.program.descriptor).items():
            ctx.set(self.dut.layer[name], value)
        ctx.set(self.dut.start, 1)
        await ctx.tick()
        ctx.set(self.dut.start, 0)
        await self.store(ctx)

    def run(self):
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(self.main)
        for process in (self.load, self.memory, self.watch):
            simulator.add_testbench(process, background=True)
        simulator.run()
        shape = (*self.golden.shape[1:], self.config.words(self.golden.shape[0]), self.config.n)
        got = np.array([self.sums[k] for k in sorted(self.sums)]).reshape(shape)
        got = got.reshape(*shape[:2], -1)[:, :, :self.golden.shape[0]].transpose(2, 0, 1)
        np.testing.assert_array_equal(got, self.golden)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("gap", [0.0, 0.3])
def test_random_layers(seed, gap):
    config = PRESETS["n4"]
    layer = random_layer(random.Random(seed), config, max_macs=12000)
    Bench(layer, config, seed, gap).run()


@pytest.mark.parametrize("bits", [4, 8])
def test_no_bubble(bits):
    """With operands, weights and banks there, a column is issued every cycle."""
    config = PRESETS["n4"]
    layer = Layer(
        name="dense", load=Load(channels=(8,), height=8, width=4, bits=bits),
        multiply=Multiply(op="conv3x3", out_channels=4, padding=1, bits=bits))
    bench = Bench(layer, config, 1, 0.0)
    bench.run()
    passes = 2 * 9 * (4 if bits == 8 else 1)
    assert len(bench.busy) == passes * 32
    assert bench.busy[-1] - bench.busy[0] + 1 == passes * 32


@pytest.mark.parametrize("pixels", [1, 2, 3])
def test_passes_shorter_than_the_accumulator(pixels):
    """The second nibble needs no weights: only MIN_PASS keeps its passes apart."""
    config = PRESETS["n4"]
    layer = Layer(
        name="short", load=Load(channels=(12,), height=1, width=pixels, bits=8),
        multiply=Multiply(op="conv1x1", out_channels=4, bits=4))
    Bench(layer, config, 1, 0.0).run()


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("upsample", [1, 2])
def test_tiles_of_an_odd_height(upsample, stride, padding):
    """Where the second tile begins depends on all of these; a random layer is rarely cut so."""
    config, rows = PRESETS["n4"], 3
    height = -(-(4 * stride + 3 - 2 * padding) // upsample)
    layer = Layer(
        name="odd", load=Load(channels=(4,), height=height, width=4 - upsample, upsample=upsample),
        multiply=Multiply(op="conv3x3", out_channels=4, stride=stride, padding=padding))
    assert rows < layer.out_height < 2 * rows + 1
    tiles = next(t for t in candidates(layer, config) if t.tile_rows == rows)
    Bench(layer, config, 1, 0.0, tiles).run()
