"""Tile plans: how a layer is cut to fit the operand buffer and the accumulator banks."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from spec.config import PRESETS, Config
from spec.fixed import nibbles, required_operand_bits
from spec.layer import Layer

MEMORY_LATENCY = 40     # cycles, assumed by the estimate
TILE_OVERHEAD = 24      # cycles between output words, assumed by the estimate
STORE_CYCLES = 4        # per output word: n accumulators, n/4 lanes
TRAFFIC_WEIGHT = 16     # beats read by the load unit that count as one cycle of cost


@dataclass(frozen=True, kw_only=True)
class TilePlan:
    """Sizes of the loop nest of docs/architecture.md.

    Parameters
    ----------
    tile_rows: output rows of a spatial tile.
    chunk_words, chunks: channel words held in the operand buffer at a time, and how often.
    plane_words: operand buffer words of one channel word (tallest tile's rows * width).
    cycles: estimated cycles of the layer, plus a little for operands loaded again.
    """

    tile_rows: int
    chunk_words: int
    chunks: int
    plane_words: int
    cycles: int


def hardware_order(layer: Layer) -> int:
    """log2 of the rotation block as the hardware sees it: one less along an upsampled row."""
    load = layer.load
    folded = load.axis == "width" and load.upsample == 2 and load.order > 0
    return load.order - folded


def word_count(layer: Layer, config: Config) -> int:
    """Channel words of all sources, each padded on its own."""
    return sum(config.words(c) for c in layer.load.channels)


def rotation_words(layer: Layer, config: Config) -> int:
    """Channel words of one rotation block, which no chunk boundary may split."""
    return max(1, (1 << layer.load.order) // config.n) if layer.load.axis == "channel" else 1


def tile_source_rows(layer: Layer, tile_rows: int) -> np.ndarray:
    """Source rows of every spatial tile, int64 (tiles,)."""
    load, multiply = layer.load, layer.multiply
    first = np.arange(0, layer.out_height, tile_rows)
    last = np.minimum(first + tile_rows, layer.out_height) - 1
    up = load.upsample - 1
    top = np.maximum(0, first * multiply.stride - multiply.padding) >> up
    bottom = last * multiply.stride - multiply.padding + multiply.kernel - 1
    return (np.minimum(load.height * load.upsample - 1, bottom) >> up) - top + 1


def _even_parts(total: int, unit: int = 1) -> list[int]:
    """Distinct part sizes that cut `total` (a multiple of `unit`, or below it) evenly."""
    blocks = -(-total // unit)
    parts = {-(-blocks // count) for count in range(1, int(blocks ** 0.5) + 1)}
    parts |= set(range(1, int(blocks ** 0.5) + 1))
    return sorted(min(part * unit, total) for part in parts)


@dataclass(frozen=True, kw_only=True)
class _Costs:
    """Cycles of the three units for one layer, by tile and chunk size."""

    layer: Layer
    config: Config

    def load(self, rows: int, words: int) -> int:
        load = self.layer.load
        beats = nibbles(load.bits) * rows * load.width * words * 2
        return beats + 2 * (2 << load.order) + MEMORY_LATENCY

    def compute(self, pixels: int, words: int) -> int:
        """One output word: a pass streams the pixels, a weight tile takes n cycles to load."""
        layer = self.layer
        passes = words * layer.multiply.kernel ** 2 * nibbles(layer.multiply.bits)
        return passes * max(pixels * nibbles(layer.load.bits), self.config.n)

    def tile(self, pixels: int, rows: int, plan_words: tuple[int, ...]) -> int:
        """All output words of one spatial tile, without the first load and the last store."""
        out_words = self.config.words(self.layer.multiply.out_channels)
        store = STORE_CYCLES * pixels
        if len(plan_words) == 1:
            compute = out_words * (max(self.compute(pixels, plan_words[0]), store) + TILE_OVERHEAD)
            return max(self.load(rows, plan_words[0]), compute)
        chunks = sum(max(self.load(rows, w), self.compute(pixels, w)) for w in plan_words)
        return out_words * (max(chunks, store) + TILE_OVERHEAD)

    def layer_cycles(self, tile_rows: int, chunk_words: int, rows: np.ndarray) -> int:
        words = word_count(self.layer, self.config)
        full, rest = divmod(words, chunk_words)
        chunks = (chunk_words,) * full + ((rest,) if rest else ())
        width, height = self.layer.out_width, self.layer.out_height
        last_pixels = (height - (len(rows) - 1) * tile_rows) * width
        whole = self.tile(tile_rows * width, int(rows.max()), chunks)
        last = self.tile(last_pixels, int(rows[-1]), chunks)
        exposed = self.load(int(rows[0]), chunks[0]) + STORE_CYCLES * last_pixels
        reloads = self.config.words(self.layer.multiply.out_channels) if len(chunks) > 1 else 1
        traffic = reloads * sum(self.load(int(rows.max()), w) for w in chunks) * len(rows)
        return exposed + (len(rows) - 1) * whole + last + traffic // TRAFFIC_WEIGHT


def operand_bits(layer: Layer) -> int:
    """Width of the operands of `layer` as the hardware sees it."""
    return required_operand_bits(layer.load.bits, hardware_order(layer), layer.load.ranged)


def _refuse(layer: Layer, config: Config) -> str:
    """Why no plan fits: what the smallest tile needs and what the configuration has."""
    rows = int(tile_source_rows(layer, 1).max())
    chunk = min(rotation_words(layer, config), word_count(layer, config))
    operands = nibbles(layer.load.bits) * chunk * rows * layer.load.width
    bits = operand_bits(layer)
    text = (
        f"{layer.name}: does not fit {config.name}: the smallest tile needs {layer.out_width} "
        f"accumulator words (has {config.acc_words}), {operands} operand buffer words "
        f"(has {config.buffer_words}) and {bits}-bit operands (has {config.operand_bits})")
    fitting = [c.name for c in PRESETS.values() if _best(layer, c) is not None]
    return text + (f"; it fits {', '.join(fitting)}" if fitting else "; it fits no preset")


def candidates(layer: Layer, config: Config) -> Iterator[TilePlan]:
    """Every plan worth considering that fits: even cuts of the rows and of the words."""
    if operand_bits(layer) > config.operand_bits:
        return
    costs, words = _Costs(layer=layer, config=config), word_count(layer, config)
    chunk_sizes = _even_parts(words, rotation_words(layer, config))
    for tile_rows in _even_parts(layer.out_height):
        if tile_rows * layer.out_width > config.acc_words:
            break
        rows = tile_source_rows(layer, tile_rows)
        plane = int(rows.max()) * layer.load.width
        for chunk in chunk_sizes:
            if nibbles(layer.load.bits) * chunk * plane > config.buffer_words:
                break
            yield TilePlan(tile_rows=tile_rows, chunk_words=chunk, chunks=-(-words // chunk),
                           plane_words=plane, cycles=costs.layer_cycles(tile_rows, chunk, rows))


@lru_cache(maxsize=1024)
def _best(layer: Layer, config: Config) -> TilePlan | None:
    return min(candidates(layer, config), key=lambda c: c.cycles, default=None)


def plan(layer: Layer, config: Config) -> TilePlan:
    """The tile plan of least estimated cycles.

    Raises
    ------
    ValueError: no tile fits the configuration; says what it needs, what there is, and which
        preset holds it.
    """
    best = _best(layer, config)
    if best is None:
        raise ValueError(_refuse(layer, config))
    return best
