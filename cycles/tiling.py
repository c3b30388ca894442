"""Tile plans: how a layer is cut to fit the operand buffer and the accumulator banks."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from hqdm.cycles.run import DEFAULT_MEMORY, at_least, run
from hqdm.cycles.timing import bank_ready
from hqdm.spec.config import PRESETS, Config
from hqdm.spec.fixed import NIBBLE, nibbles, required_operand_bits
from hqdm.spec.layer import Layer
from hqdm.spec.loop_nest import (
    TilePlan,
    hardware_order,
    rotation_words,
    tile_source_rows,
    word_count,
)

__all__ = ["TilePlan", "candidates", "hardware_order", "operand_bits", "plan", "rotation_words",
           "tile_source_rows", "word_count"]
STORE_CYCLES = 4        # per output word: n accumulators, n/4 lanes
TRAFFIC_WEIGHT = 32     # beats of operands and weights that count as one cycle of cost
FINALISTS = 4           # plans of least estimated cost that the cycle model decides between


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
        return beats + 2 * (2 << load.order) + DEFAULT_MEMORY.latency

    def compute(self, pixels: int, words: int) -> int:
        """One output word: a pass streams the pixels, a weight tile takes n cycles to load."""
        layer = self.layer
        passes = words * layer.multiply.kernel ** 2 * nibbles(layer.multiply.bits)
        return passes * max(pixels * nibbles(layer.load.bits), self.config.n)

    def tile(self, pixels: int, rows: int, plan_words: tuple[int, ...]) -> int:
        """All output words of one spatial tile, without the first load and the last store.

        Two banks alternate: one output word in the time of multiply or store, whichever is longer,
        and two in the time from the start of a multiply to the end of its store.
        """
        out_words = self.config.words(self.layer.multiply.out_channels)
        store = STORE_CYCLES * pixels + 1
        multiply = sum(self.compute(pixels, words) for words in plan_words)
        both = (multiply + bank_ready(self.config) + store) // 2
        if len(plan_words) == 1:
            return max(self.load(rows, plan_words[0]), out_words * max(multiply, store, both))
        chunks = sum(max(self.load(rows, w), self.compute(pixels, w)) for w in plan_words)
        return out_words * max(chunks, store, both)

    def layer_cycles(self, tile_rows: int, chunk_words: int, rows: list[int]) -> int:
        """The layer, of tiles that read `rows` source rows."""
        words, tiles, tallest = word_count(self.layer, self.config), len(rows), max(rows)
        full, rest = divmod(words, chunk_words)
        chunks = (chunk_words,) * full + ((rest,) if rest else ())
        width, height = self.layer.out_width, self.layer.out_height
        last_pixels = (height - (tiles - 1) * tile_rows) * width
        whole = self.tile(tile_rows * width, tallest, chunks)
        last = self.tile(last_pixels, rows[-1], chunks)
        exposed = self.load(rows[0], chunks[0]) + STORE_CYCLES * last_pixels
        cycles = exposed + (tiles - 1) * whole + last
        return cycles + self.traffic(tallest, chunks) * tiles // TRAFFIC_WEIGHT

    def traffic(self, rows: int, chunks: tuple[int, ...]) -> int:
        """Beats of operands and weights of one spatial tile."""
        layer, config = self.layer, self.config
        out_words = config.words(layer.multiply.out_channels)
        loads = sum(self.load(rows, words) for words in chunks)
        weights = (sum(chunks) * layer.multiply.kernel ** 2 * nibbles(layer.multiply.bits)
                   * config.weight_tile_beats(min(layer.multiply.bits, NIBBLE)))
        return (out_words if len(chunks) > 1 else 1) * loads + out_words * weights


def operand_bits(layer: Layer) -> int:
    """Width of the operands of `layer` as the hardware sees it."""
    return required_operand_bits(layer.load.bits, hardware_order(layer), layer.load.ranged)


def _refuse(layer: Layer, config: Config) -> str:
    """Why no plan fits: what the smallest tile needs and what the configuration has."""
    rows = max(tile_source_rows(layer, 1))
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
        plane = max(rows) * layer.load.width
        for chunk in chunk_sizes:
            if nibbles(layer.load.bits) * chunk * plane > config.buffer_words:
                break
            yield TilePlan(tile_rows=tile_rows, chunk_words=chunk, chunks=-(-words // chunk),
                           plane_words=plane, cycles=costs.layer_cycles(tile_rows, chunk, rows))


@lru_cache(maxsize=4096)
def _best(layer: Layer, config: Config) -> TilePlan | None:
    """Of the plans of least estimated cost, that of least cost in the cycle model."""
    best: TilePlan | None = None
    least = 0
    for tiles in sorted(candidates(layer, config), key=lambda c: c.cycles)[:FINALISTS]:
        tiles = replace(tiles, cycles=0)
        if best and _cost(*at_least(layer, config, tiles)) >= least:
            continue
        found = run(layer, config, tiles, DEFAULT_MEMORY)
        cost = _cost(found.cycles, found.beats)
        if not best or cost < least:
            best, least = replace(tiles, cycles=found.cycles), cost
    return best


def _cost(cycles: int, beats: dict[str, int]) -> int:
    """What the best plan has least of: cycles, and a little for traffic."""
    return cycles + (beats["load"] + beats["weight"]) // TRAFFIC_WEIGHT


def plan(layer: Layer, config: Config) -> TilePlan:
    """The tile plan of least cycles, as far as a short list knows.

    Raises
    ------
    ValueError: no tile fits the configuration; says what it needs, what there is, and which
        preset holds it.
    """
    best = _best(replace(layer, name="", timesteps=1), config)
    if best is None:
        raise ValueError(_refuse(layer, config))
    return best
