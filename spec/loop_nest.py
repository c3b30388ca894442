"""The loop nest of docs/architecture.md as a plan for one layer, and what its tiles read."""

from dataclasses import dataclass

from hqdm.spec.config import Config
from hqdm.spec.layer import Layer


@dataclass(frozen=True, kw_only=True)
class TilePlan:
    """Sizes of the loop nest of docs/architecture.md.

    Parameters
    ----------
    tile_rows: output rows of a spatial tile.
    chunk_words, chunks: channel words held in the operand buffer at a time, and how often.
    plane_words: operand buffer words of one channel word (tallest tile's rows * width).
    cycles: of the layer in the cycle model, at a memory latency of 40.
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


def tile_source_rows(layer: Layer, tile_rows: int) -> list[int]:
    """Source rows of every spatial tile."""
    load, multiply = layer.load, layer.multiply
    up, last_source = load.upsample - 1, load.height * load.upsample - 1
    rows = []
    for first in range(0, layer.out_height, tile_rows):
        last = min(first + tile_rows, layer.out_height) - 1
        top = max(0, first * multiply.stride - multiply.padding) >> up
        bottom = last * multiply.stride - multiply.padding + multiply.kernel - 1
        rows.append((min(last_source, bottom) >> up) - top + 1)
    return rows
