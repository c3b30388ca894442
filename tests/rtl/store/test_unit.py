"""StoreUnit against golden.store with random stalls, and its throughput without."""

import random
from dataclasses import dataclass, field

import pytest
import torch
from amaranth.sim import Simulator

from golden.carrier import Carrier
from golden.random import random_parameters
from golden.store import store_outputs
from rtl.store.unit import StoreUnit
from spec import PRESETS, Config, Layer, Load, Multiply, Store
from spec.fixed import ACCUMULATOR, RESIDUAL_SHIFT

MULTIPLIERS, BIAS, SECOND, OUTPUT = 0x1000, 0x2000, 0x10000, 0x40000
TIMESTEP = 1


@dataclass
class Case:
    """One layer's store: sums, parameters, memory image and golden result."""

    config: Config
    layer: Layer
    tile_rows: int
    seed: int
    memory: dict[int, int] = field(default_factory=dict)      # beat address -> beat

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(self.seed)
        layer = self.layer
        self.parameters = random_parameters(layer, generator)
        shape = (layer.multiply.out_channels, layer.out_height, layer.out_width)
        std = 2.0 ** (19 + self.parameters.channel_shift) / float(
            self.parameters.multipliers.double().mean())
        self.sums = (torch.randn(shape, generator=generator, dtype=torch.float64) * std).clamp(
            ACCUMULATOR.low, ACCUMULATOR.high).long()
        self.second = None
        if layer.store.residual != "none":
            values = torch.randint(-32768, 32768, shape, generator=generator).to(torch.int16)
            exponent = int(self.parameters.output_exponent[TIMESTEP]
                           + self.parameters.residual_shift[TIMESTEP])
            self.second = Carrier(values, exponent)
        self._fill_memory()

    @property
    def words(self) -> int:
        return self.config.words(self.layer.multiply.out_channels)

    def pad(self, values: torch.Tensor) -> torch.Tensor:
        """(O, ...) -> (words * n, ...), zeros in the padding."""
        padding = self.words * self.config.n - values.shape[0]
        return torch.cat([values.long(), values.new_zeros((padding, *values.shape[1:])).long()])

    def put(self, address: int, values: torch.Tensor) -> None:
        """16-bit values to memory, `lanes` per beat."""
        for i, beat in enumerate(values.reshape(-1, self.config.lanes).tolist()):
            self.memory[address + i * self.config.bus_bytes] = pack(beat)

    def _fill_memory(self) -> None:
        self.put(MULTIPLIERS, self.pad(self.parameters.multipliers))
        self.put(BIAS, self.pad(self.parameters.bias[TIMESTEP]))
        if self.second is not None:
            self.put(SECOND, self.pad(self.second.values).permute(1, 2, 0))

    def expected(self) -> dict[int, int]:
        """Word address -> word. Padding channels: zero M and bias, and a zero second operand."""
        y = store_outputs(self.layer, self.parameters, self.sums, TIMESTEP, self.second)
        image = self.pad(y.values).permute(1, 2, 0).reshape(-1, self.config.n)
        return {OUTPUT + i * self.config.word_bytes: pack(word)
                for i, word in enumerate(image.tolist())}

    def banks(self) -> list[list[list[int]]]:
        """Accumulator banks in order; junk in the padding channels must not matter."""
        layer, n = self.layer, self.config.n
        sums = self.pad(self.sums)
        sums[layer.multiply.out_channels:] = 12345
        return [sums[o * n:(o + 1) * n, y:y + self.tile_rows].reshape(n, -1).t().tolist()
                for y in range(0, layer.out_height, self.tile_rows) for o in range(self.words)]

    def descriptor(self) -> dict[str, int]:
        return {"out_height": self.layer.out_height, "out_width": self.layer.out_width,
                "out_words": self.words, "tile_rows": self.tile_rows,
                "channel_shift": self.parameters.channel_shift,
                "residual": ("none", "add", "subtract").index(self.layer.store.residual),
                "multipliers": MULTIPLIERS, "second": SECOND, "output": OUTPUT}

    def step(self) -> dict[str, int]:
        p = self.parameters
        return {"step_multiplier": int(p.step_multiplier[TIMESTEP]),
                "step_shift": int(p.step_shift[TIMESTEP]), "bias": BIAS,
                "residual_shift": int(p.residual_shift[TIMESTEP]) + RESIDUAL_SHIFT}


def pack(values: list[int]) -> int:
    """16-bit values, first in the lowest bits."""
    return sum((value & 0xFFFF) << 16 * i for i, value in enumerate(values))


class Bench:
    """StoreUnit between a memory, accumulator banks and a writer, each with its stalls."""

    def __init__(self, cases: list[Case], stall: float):
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
        for bank in [bank for case in self.cases for bank in case.banks()]:
            while not self.go():
                await ctx.tick()
            ctx.set(port.ready, 1)
            read: list[int] = []
            release = False
            while not release:
                _, _, enable, address, release = await ctx.tick().sample(
                    port.enable, port.address, port.release)
                if enable:
                    read.append(address)
                    ctx.set(port.data, bank[address])
            assert read == list(range(len(bank)))
            ctx.set(port.ready, 0)
            ctx.set(port.data, [-1] * self.case.config.n)
            if self.stall:
                await ctx.tick()

    async def take_words(self, ctx):
        word = self.dut.word
        while True:
            ctx.set(word.ready, self.go())
            _, _, taken, payload = await ctx.tick().sample(word.valid & word.ready, word.payload)
            if taken:
                assert payload.address not in self.written
                self.written[payload.address] = payload.data

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


def make_case(name: str, channels: int, size: tuple[int, int], tile_rows: int, residual: str,
              seed: int) -> Case:
    layer = Layer(name="store", load=Load(channels=(64,), height=size[0], width=size[1]),
                  multiply=Multiply(op="conv1x1", out_channels=channels),
                  store=Store(residual=residual), timesteps=2)
    return Case(PRESETS[name], layer, tile_rows, seed)


@pytest.mark.parametrize("seed, name, channels, size, tile_rows, residual", [
    (1, "n4", 9, (5, 6), 2, "none"), (2, "n4", 9, (5, 6), 2, "add"),
    (3, "n4", 4, (1, 1), 1, "subtract"), (4, "n4", 1, (3, 1), 3, "add"),
    (5, "n8", 24, (4, 5), 3, "subtract"), (6, "n8", 17, (4, 5), 1, "none"),
    (7, "n8", 8, (9, 1), 4, "add"), (8, "n16", 16, (3, 3), 2, "add"),
    (9, "n8", 40, (1, 1), 1, "none"), (10, "n8", 40, (2, 1), 1, "add"),
])
@pytest.mark.parametrize("stall", [0.0, 0.4, 0.8])
def test_layer_equals_golden(seed, name, channels, size, tile_rows, residual, stall):
    Bench([make_case(name, channels, size, tile_rows, residual, seed)], stall).run()


@pytest.mark.parametrize("residual", ["none", "add"])
def test_four_cycles_per_word(residual):
    """No stalls: four cycles a word, one more a bank, and the way in and out."""
    bench = Bench([make_case("n8", 40, (8, 4), 4, residual, 20)], 0.0)
    bench.run()
    banks, words = 10, 160
    assert bench.cycles <= 4 * words + banks + bench.dut.latency + 20


def test_waiting_memory_counts_stalls_of_the_bus():
    """Nothing is blamed on a fast memory but the first fetch; a slow one is blamed."""
    fast, slow = (Bench([make_case("n8", 16, (4, 4), 4, "add", 21)], stall)
                  for stall in (0.0, 0.85))
    fast.run()
    slow.run()
    assert fast.waited <= 12
    assert slow.waited > slow.cycles // 2


def test_layers_follow_each_other():
    """Nothing is left behind: the same unit runs different layers."""
    Bench([make_case("n8", 20, (3, 4), 2, "add", 30), make_case("n8", 9, (5, 2), 3, "none", 31),
           make_case("n8", 12, (2, 3), 2, "subtract", 32)], 0.3).run()
