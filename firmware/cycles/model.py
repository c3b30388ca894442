"""The cycle model: `estimate(layer, config)`."""

from firmware.cycles.estimate import Estimate, MemoryTiming
from firmware.tiling import TilePlan, plan, tile_source_rows, word_count
from spec.config import Config
from spec.fixed import nibbles
from spec.layer import Layer

__all__ = ["Estimate", "MemoryTiming", "estimate"]


def estimate(
    layer: Layer, config: Config, tiles: TilePlan | None = None,
    memory: MemoryTiming = MemoryTiming(), *, timeline: bool = False,
) -> Estimate:
    """Cycles of `layer` on a core of `config`, tiled as `tiles` says (by default as `plan` does).

    Raises
    ------
    ValueError: the layer does not fit the configuration.
    """
    tiles = tiles or plan(layer, config)
    words, out_words = word_count(layer, config), config.words(layer.multiply.out_channels)
    rows = tile_source_rows(layer, tiles.tile_rows)
    passes = words * layer.multiply.kernel ** 2 * nibbles(layer.multiply.bits) * out_words
    pixels = layer.out_height * layer.out_width
    busy = pixels * passes * nibbles(layer.load.bits)
    reloads = out_words if tiles.chunks > 1 else 1
    second = layer.store.residual != "none"
    beats = {
        "load": 2 * words * int(rows.sum()) * layer.load.width * nibbles(layer.load.bits) * reloads,
        "weight": passes * len(rows) * config.weight_tile_beats(min(layer.multiply.bits, 4)),
        "store_read": out_words * (4 * len(rows) + 2 * second * pixels),
        "store_write": 2 * out_words * pixels,
    }
    cycles = max(tiles.cycles, busy)
    stalls = {"load": cycles - busy, "weight": 0, "store": 0, "memory": 0, "setup": 0}
    return Estimate(layer=layer, config=config, tiles=tiles, memory=memory, cycles=cycles,
                    busy=busy, stalls=stalls, beats=beats)
