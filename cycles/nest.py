"""The loop nest of a layer as numbers: what each spatial tile and chunk reads and multiplies."""

from dataclasses import dataclass, field
from functools import cached_property
from math import gcd, lcm

from hqdm.cycles.port import bursts
from hqdm.spec.config import Config
from hqdm.spec.fixed import NIBBLE, nibbles
from hqdm.spec.layer import Layer
from hqdm.spec.loop_nest import TilePlan, hardware_order, tile_source_rows, word_count

BURST = tuple[int, bool]    # beats, and whether a request begins with it


@dataclass(frozen=True)
class Chunk:
    """What the load unit reads at a time.

    Members
    -------
    seek: source rows from the first of the chunk before to the first of this one.
    unit: bursts that repeat until `beats` beats have been read, `nibbles` times over.
    """

    seek: int
    unit: tuple[BURST, ...]
    beats: int
    nibbles: int

    @property
    def unit_beats(self) -> int:
        return sum(beats for beats, _ in self.unit)

    @property
    def mean(self) -> float:
        """Beats of a burst, on average."""
        return self.unit_beats / len(self.unit)

    @property
    def ending(self) -> tuple[int, int, int]:
        """Beats of the last request, of its last burst, and of the last burst before it."""
        left = self.beats % self.unit_beats or self.unit_beats
        request, burst, previous = 0, self.unit[-1][0], 0
        for beats, begins in self.unit:
            if begins:
                request, previous = 0, burst
            request, burst = request + beats, beats
            left -= beats
            if left <= 0:
                break
        return request, burst, previous


@dataclass(frozen=True)
class Nest:
    """Counts of the loop nest of docs/architecture.md."""

    layer: Layer
    config: Config
    tiles: TilePlan
    _units: dict[tuple[int, int, int], tuple[BURST, ...]] = field(
        default_factory=dict, compare=False, repr=False)

    @cached_property
    def source_words(self) -> tuple[int, int]:
        """Channel words of both sources, 0 if there is no second one."""
        words = [self.config.words(c) for c in self.layer.load.channels]
        return words[0], words[1] if len(words) > 1 else 0

    @cached_property
    def axis(self) -> int:
        return int(self.layer.load.axis == "width" and self.layer.load.order > 0)

    @cached_property
    def order(self) -> int:
        return hardware_order(self.layer)

    @cached_property
    def out_words(self) -> int:
        return self.config.words(self.layer.multiply.out_channels)

    @cached_property
    def act_nibbles(self) -> int:
        return nibbles(self.layer.load.bits)

    @cached_property
    def weight_beats(self) -> int:
        """Beats of a weight tile."""
        return self.config.weight_tile_beats(self.weight_bits)

    @cached_property
    def weight_bits(self) -> int:
        return min(self.layer.multiply.bits, NIBBLE)

    @cached_property
    def word_tiles(self) -> int:
        """Weight tiles of a channel word."""
        return self.layer.multiply.kernel ** 2 * nibbles(self.layer.multiply.bits)

    @cached_property
    def second(self) -> bool:
        """Whether the store reads a word for every word it writes."""
        return self.layer.store.second is not None

    @cached_property
    def rows(self) -> list[int]:
        """Source rows of every spatial tile."""
        return tile_source_rows(self.layer, self.tiles.tile_rows)

    @cached_property
    def first_rows(self) -> list[int]:
        """First source row of every spatial tile."""
        load, multiply = self.layer.load, self.layer.multiply
        tops = range(0, self.layer.out_height, self.tiles.tile_rows)
        return [max(0, y * multiply.stride - multiply.padding) // load.upsample for y in tops]

    @cached_property
    def pixels(self) -> list[int]:
        """Output pixels of every spatial tile."""
        step, height, width = self.tiles.tile_rows, self.layer.out_height, self.layer.out_width
        return [min(step, height - y) * width for y in range(0, height, step)]

    @cached_property
    def chunk_words(self) -> list[int]:
        """Channel words of every chunk."""
        words, step = word_count(self.layer, self.config), self.tiles.chunk_words
        return [min(step, words - w) for w in range(0, words, step)]

    def chunk(self, tile: int, index: int, *, moved: bool = True) -> Chunk:
        """Chunk `index` of a spatial tile; `moved`: the chunk before was in the tile before."""
        words = self.chunk_words[index]
        beats = 2 * words * self.rows[tile] * self.layer.load.width
        unit = self._unit(self.first_rows[tile] % 16, sum(self.chunk_words[:index]), words)
        return Chunk(self._seek(tile) if moved else 0, unit, beats, self.act_nibbles)

    def _seek(self, tile: int) -> int:
        return self.first_rows[tile] - self.first_rows[tile - 1] if tile else 0

    def alike(self, tile: int) -> int:
        """How many spatial tiles after `tile` are loaded and multiplied like it."""
        like, count = self._signature(tile), 0
        while tile + count + 1 < len(self.pixels) and self._signature(tile + count + 1) == like:
            count += 1
        return count

    def _signature(self, tile: int) -> tuple[object, ...]:
        return self.pixels[tile], self.chunk(tile, 0)

    def _unit(self, row: int, first: int, words: int) -> tuple[BURST, ...]:
        key = row, first, words
        if key not in self._units:
            self._units[key] = self._bursts(*key)
        return self._units[key]

    def _bursts(self, row: int, first: int, words: int) -> tuple[BURST, ...]:
        """Bursts from the first pixel of source row `row` (modulo 16) on until they repeat.

        The tensors are taken to begin at a multiple of 16 beats.
        """
        width, (a, b) = self.layer.load.width, self.source_words
        spans = [(a, first, min(first + words, a) - first) if first < a else (a, 0, 0),
                 (b, max(0, first - a), first + words - a - max(0, first - a))]
        used = [(total, start, count) for total, start, count in spans if count > 0]
        wide = bool(self.axis and self.order)
        whole = len(used) == 1 and used[0][2] == used[0][0]
        if whole and (not wide or words == 1):      # one request per row
            beats = 2 * words * width
            return self._repeat([(beats, 0, beats)], row)
        if wide:                                    # one request per word and pixel
            return ((2, True),)
        requests = [(2 * total, 2 * start, 2 * count) for total, start, count in used]
        return self._repeat(requests, row * width)

    @staticmethod
    def _repeat(requests: list[tuple[int, int, int]], start: int) -> tuple[BURST, ...]:
        """Bursts of (stride, offset, beats) requests, from index `start` until they repeat."""
        period = lcm(*(16 // gcd(stride, 16) for stride, _, _ in requests))
        unit: list[BURST] = []
        for index in range(start, start + period):
            for stride, offset, beats in requests:
                lengths = bursts((index * stride + offset) % 16, beats)
                if period == 1 and len(requests) == 1 and set(lengths) == {16}:
                    return ((16, True),)
                unit += [(length, k == 0) for k, length in enumerate(lengths)]
        return tuple(unit)
