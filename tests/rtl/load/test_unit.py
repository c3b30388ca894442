"""The load unit against hqdm.golden.load.load_nibbles: random layers, tilings and memories."""

import dataclasses
import random
from collections import deque

import pytest
import torch
from amaranth.sim import Simulator

from hqdm.golden import Carrier
from hqdm.golden.load import load_nibbles
from hqdm.golden.random import random_layer, random_parameters, random_sources
from hqdm.rtl.load.unit import LoadUnit
from hqdm.spec import Config, Layer, Load, Multiply, config_by_name
from hqdm.spec.descriptor import FIELDS
from hqdm.spec.fixed import nibbles
from hqdm.spec.stages import load_latency

BASE = (0x400, 0x40000)


@dataclasses.dataclass
class Case:
    """One layer with its numbers, and how it is cut: tile_rows output rows, chunk_words words."""

    layer: Layer
    config: Config
    tile_rows: int
    chunk_words: int
    generator: torch.Generator

    def __post_init__(self) -> None:
        self.parameters = random_parameters(self.layer, self.generator)
        self.timestep = self.layer.timesteps - 1
        self.sources, _ = random_sources(self.layer, self.parameters, self.timestep, self.generator)
        self.load, self.overflows = self.layer.load, False
        self.words = [self.config.words(c) for c in self.load.channels]
        self.nibbles = nibbles(self.load.bits)
        tiles = [self.rows(y) for y in range(0, self.layer.out_height, self.tile_rows)]
        self.plane_words = max(len(rows) for rows in tiles) * self.load.width

    @property
    def chunks(self) -> int:
        return -(-sum(self.words) // self.chunk_words)

    @property
    def halved(self) -> int:
        """1 if hardware rotates the source row at one order less than the upsampled one."""
        return int(self.load.axis == "width" and self.load.upsample == 2 and self.load.order > 0)

    def rows(self, y: int) -> range:
        """Source rows of the tile that begins at output row `y`, straight from the formula."""
        multiply, up = self.layer.multiply, self.load.upsample
        last = min(y + self.tile_rows, self.layer.out_height) - 1
        wanted = [v // up for out in range(y, last + 1) for tap in range(multiply.kernel)
                  if 0 <= (v := out * multiply.stride - multiply.padding + tap)
                  < self.load.height * up]
        return range(min(wanted), max(wanted) + 1)

    def descriptor(self) -> dict[str, int]:
        load, multiply, layer = self.load, self.layer.multiply, self.layer
        words = [*self.words, 0][:2]
        rows = [2 * self.config.n * w * load.width for w in words]
        values = dict.fromkeys((f.name for f in FIELDS), 0)
        return values | {
            "axis": int(load.axis == "width"), "order": load.order - self.halved,
            "act_nibbles": self.nibbles, "kernel": multiply.kernel,
            "stride": multiply.stride, "padding": multiply.padding,
            "upsample": load.upsample // 2, "height": load.height, "width": load.width,
            "out_height": layer.out_height, "out_width": layer.out_width,
            "words0": words[0], "words1": words[1],
            "out_words": self.config.words(multiply.out_channels), "tile_rows": self.tile_rows,
            "chunk_words": self.chunk_words, "chunks": self.chunks,
            "plane_words": self.plane_words, "row_bytes0": rows[0], "row_bytes1": rows[1],
            "source0": BASE[0], "source1": BASE[1],
        }

    def step(self) -> dict[str, int]:
        return {"load_multiplier": int(self.parameters.load_multiplier[self.timestep]),
                "load_shift": int(self.parameters.load_shift[self.timestep]) - self.halved,
                "low": -int(self.parameters.load_low[self.timestep]),
                "high": int(self.parameters.load_high[self.timestep])}

    def memory(self) -> dict[int, int]:
        """Beats by byte address."""
        beats = {}
        for base, source, words in zip(BASE, self.sources, self.words, strict=False):
            lanes = pad(source.values, words * self.config.n).permute(1, 2, 0)  # (H, W, C)
            lanes = lanes.reshape(-1, self.config.lanes).tolist()
            for i, row in enumerate(lanes):
                beats[base + i * self.config.bus_bytes] = sum(
                    (x & 0xFFFF) << (16 * lane) for lane, x in enumerate(row))
        return beats

    def expected(self) -> list[dict[tuple[int, int], list[int]]]:
        """Per chunk in order, {(address, upper): operands} of everything that is written.

        Words beyond the buffer are left out, and set `overflows`.
        """
        up, lanes = self.load.upsample, self.config.lanes
        channels, parts = self.load.channels, []
        for part in load_nibbles(self.layer, self.parameters, self.sources, self.timestep):
            part = part[:, ::up, ::up].split(channels)      # the source pixels, per source
            part = torch.cat([pad(x, self.config.n * w)
                              for x, w in zip(part, self.words, strict=True)])
            # (words * n, H, W) -> (words, H, W, 2, lanes)
            parts.append(part.unflatten(0, (-1, 2, lanes)).permute(0, 3, 4, 1, 2).tolist())
        outer = self.config.words(self.layer.multiply.out_channels) if self.chunks > 1 else 1
        return [self._chunk(parts, self.rows(y), first)
                for y in range(0, self.layer.out_height, self.tile_rows)
                for _ in range(outer)
                for first in range(0, sum(self.words), self.chunk_words)]

    def _chunk(self, parts, rows, first):
        count = min(self.chunk_words, sum(self.words) - first)
        width = self.load.width
        words = {((a * self.chunk_words + w) * self.plane_words + r * width + x, upper):
                parts[a][first + w][y][x][upper]
                for a in range(len(parts)) for w in range(count) for r, y in enumerate(rows)
                for x in range(width) for upper in range(2)}
        self.overflows |= max(words)[0] >= self.config.buffer_words
        return {at: word for at, word in words.items() if at[0] < self.config.buffer_words}


def pad(values: torch.Tensor, channels: int) -> torch.Tensor:
    """Zero channels up to `channels`."""
    return torch.nn.functional.pad(values, (0, 0, 0, 0, 0, channels - values.shape[0]))


class Bench:
    """Memory, operand buffer and its reader around a LoadUnit.

    `busy` is the probability that memory has no beat or takes no request in a cycle; `reading`
    that the reader of a half goes on for another cycle, `busy` unless given. 0 is memory without
    a gap, and a reader that never makes the unit wait.
    """

    def __init__(self, config: Config, busy: float, seed: int, reading: float | None = None):
        print("seed", seed)
        self.config, self.busy, self.rng = config, busy, random.Random(seed)
        self.reading = busy if reading is None else reading
        self.dut = LoadUnit(config)
        self.cycles, self.offered = 0, False
        self.banks, self.full, self.fill = [{}, {}], [False, False], 0
        self.beats: list[int] = []      # cycles in which a beat was taken
        self.requests = 0

    def run(self, cases: list[Case]) -> None:
        async def bench(ctx):
            for case in cases:
                await self._layer(ctx, case)

        sim = Simulator(self.dut)
        sim.add_clock(1e-6)
        sim.add_testbench(bench)
        sim.run()

    async def _layer(self, ctx, case: Case) -> None:
        dut = self.dut
        self.memory, self.queue, self.latency = case.memory(), deque(), self.rng.randint(0, 20)
        self.expected, self.cycles, self.beats, self.requests = (
            deque(case.expected()), 0, [], 0)
        for name, value in case.descriptor().items():
            ctx.set(dut.layer[name], value)
        for name, value in case.step().items():
            ctx.set(dut.step[name], value)
        limit = 400 + 40 * sum(len(chunk) + 50 for chunk in self.expected)
        while self.expected or any(self.full):
            assert self.cycles < limit, f"{len(self.expected)} chunks missing after {limit} cycles"
            ctx.set(dut.start, self.cycles == 0)
            self._memory(ctx)
            self._buffer(ctx)
            await ctx.tick()
            self.cycles += 1
        assert ctx.get(dut.done)
        assert not self.queue, "more was requested than used"
        assert ctx.get(dut.overflow) == case.overflows

    def _chance(self) -> bool:
        return self.rng.random() >= self.busy

    def _memory(self, ctx) -> None:
        """Requests in, beats out in order; both handshakes complete at the coming edge."""
        read = self.dut.read
        ready = self._chance() and len(self.queue) < 400
        ctx.set(read.request.ready, ready)
        arrived = bool(self.queue) and self.queue[0][0] <= self.cycles
        self.offered = arrived and (self.offered or self._chance())
        ctx.set(read.beat.valid, self.offered)
        if self.offered:
            ctx.set(read.beat.payload, self.queue[0][1])
            if ctx.get(read.beat.ready):
                self.queue.popleft()
                self.beats.append(self.cycles)
                self.offered = False
        if ready and ctx.get(read.request.valid):
            payload = ctx.get(read.request.payload)
            assert payload.beats > 0
            self.requests += 1
            for i in range(payload.beats):
                self.queue.append((self.cycles + 1 + self.latency,
                                   self.memory[payload.address + i * self.config.bus_bytes]))

    def _buffer(self, ctx) -> None:
        """Collect writes; at bank_done compare the half and hand it to a slow reader."""
        dut = self.dut
        for bank in range(2):
            if self.full[bank] and self.rng.random() >= self.reading:
                self.full[bank] = False
        ctx.set(dut.bank_free, not self.full[self.fill])
        write = dut.write
        if ctx.get(write.enable):
            bank = ctx.get(write.bank)
            assert bank == self.fill and not self.full[bank]
            self.banks[bank][ctx.get(write.address), ctx.get(write.upper)] = list(
                ctx.get(write.data))
        if ctx.get(dut.bank_done):
            assert self.banks[self.fill] == self.expected.popleft()
            self.banks[self.fill], self.full[self.fill] = {}, True
            self.fill ^= 1


def random_case(config: Config, rng: random.Random) -> Case:
    """A random layer, cut into random tiles and chunks that fit and split no rotation block."""
    while True:
        layer = random_layer(rng, config, max_macs=60_000)
        words = sum(config.words(c) for c in layer.load.channels)
        block = max(1, (1 << layer.load.order) // config.n) if layer.load.axis == "channel" else 1
        chunk_words = min(words, block * rng.randint(1, -(-words // block)))
        case = Case(layer, config, rng.randint(1, layer.out_height), chunk_words,
                    torch.Generator().manual_seed(rng.randrange(1 << 30)))
        if case.nibbles * chunk_words * case.plane_words <= config.buffer_words:
            return case


def case_of(load: Load, op: str, *, tile_rows: int, chunk_words: int, padding: int = 0,
            out_channels: int = 4) -> Case:
    """A layer of chosen shape on n4."""
    multiply = Multiply(op=op, out_channels=out_channels, padding=padding)
    return Case(Layer(name="case", load=load, multiply=multiply), config_by_name("n4"),
                tile_rows, chunk_words, torch.Generator().manual_seed(1))


@pytest.mark.parametrize("busy", [0.0, 0.3])
@pytest.mark.parametrize("name", ["n4", "n8"])
@pytest.mark.parametrize("seed", range(2))
def test_random_layers(name, seed, busy):
    """Layer after layer without a reset, as golden says, word for word."""
    config = config_by_name(name)
    rng = random.Random(f"{name} {seed} {busy}")
    Bench(config, busy, seed).run([random_case(config, rng) for _ in range(6)])


ROW = Load(channels=(16,), height=6, width=8, axis="channel", order=4)
CHANNELS = Load(channels=(8, 8), height=6, width=8, axis="channel", order=2, bits=8)
COLUMNS = Load(channels=(8, 8), height=6, width=8, axis="width", order=3, bits=8)
ONE_WORD = Load(channels=(4,), height=6, width=8, axis="width", order=3)


@pytest.mark.parametrize(("load", "chunk_words", "requests"), [
    (ROW, 4, 6), (ONE_WORD, 1, 6), (CHANNELS, 4, 2 * 6 * 8 * 2), (COLUMNS, 4, 2 * 6 * 8 * 4)])
def test_one_beat_per_cycle_within_a_chunk(load, chunk_words, requests):
    """A memory without gaps: no bubble between requests, pixels, words, rows or nibbles."""
    case = case_of(load, "conv1x1", tile_rows=6, chunk_words=chunk_words)
    bench = Bench(case.config, 0.0, 0)
    bench.run([case])
    count = 2 * case.nibbles * sum(case.words) * load.height * load.width
    assert bench.beats == list(range(bench.beats[0], bench.beats[0] + count))
    assert bench.requests == requests
    pipeline = load_latency(case.config.lanes, int(load.axis == "width"), load.order)
    assert bench.cycles - bench.beats[-1] <= pipeline + 5


def test_chunks_follow_each_other_without_a_flush():
    """The pipeline is not emptied between chunks when a half of the buffer is free."""
    load = dataclasses.replace(ONE_WORD, channels=(16,))
    case = case_of(load, "conv3x3", padding=1, tile_rows=3, chunk_words=1, out_channels=8)
    bench = Bench(case.config, 0.0, 0)
    bench.run([case])
    chunks = len(case.expected())
    assert chunks == 2 * 2 * 4
    pipeline = load_latency(case.config.lanes, 1, load.order)
    span = bench.beats[-1] - bench.beats[0] + 1
    assert span - len(bench.beats) < (chunks - 1) * pipeline // 4


def test_waits_for_a_slow_reader():
    """The next chunk stands at the end of the pipeline until its half is free."""
    load = dataclasses.replace(ROW, order=2)
    case = case_of(load, "conv1x1", tile_rows=2, chunk_words=1, out_channels=8)
    Bench(case.config, 0.0, 0, reading=0.99).run([case])


@pytest.mark.parametrize(("axis", "side"), [
    ("channel", (-15, 0)), ("channel", (0, 15)), ("width", (-15, 0)), ("width", (0, 15))])
def test_the_largest_operands_of_free_bounds(axis, side):
    """Impulses of either sign fill every quantised value of a block: operands of 480."""
    load = Load(channels=(32,), height=1, width=32, axis=axis, order=5, ranged=True)
    case = case_of(load, "conv1x1", tile_rows=1, chunk_words=8)
    values = torch.zeros_like(case.sources[0].values)
    at = (slice(None), 0, 0) if axis == "width" else (0, 0)
    values[at] = 32767 if side[1] else -32768
    case.sources = [Carrier(values, case.sources[0].exponent)]
    case.parameters = dataclasses.replace(
        case.parameters, load_multiplier=torch.tensor([1]), load_shift=torch.tensor([1]),
        load_low=torch.tensor([side[0]]), load_high=torch.tensor([side[1]]))
    (u,) = load_nibbles(case.layer, case.parameters, case.sources, 0)
    assert int(u[at].unique()) == 32 * sum(side)
    Bench(case.config, 0.0, 0).run([case])


def test_overflow_is_reported_and_not_written():
    """Words beyond the buffer raise `overflow`, the others are right, and so is the next layer."""
    large = case_of(ROW, "conv1x1", tile_rows=6, chunk_words=4)
    large.plane_words = large.config.buffer_words // 3
    small = case_of(ROW, "conv1x1", tile_rows=6, chunk_words=4)
    Bench(large.config, 0.0, 0).run([large, small])
    assert large.overflows and not small.overflows
