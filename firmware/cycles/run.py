"""One run of a layer through the clocks, and what it moved."""

from functools import lru_cache

from firmware.cycles.constants import setup_beats, setup_cycles
from firmware.cycles.estimate import Estimate, MemoryTiming
from firmware.cycles.machine import Machine
from firmware.cycles.nest import Nest
from firmware.loop_nest import TilePlan
from spec.config import Config
from spec.layer import Layer

DEFAULT_MEMORY = MemoryTiming()


def _beats(nest: Nest) -> dict[str, int]:
    """Beats by port."""
    pixels, words = sum(nest.pixels), sum(nest.chunk_words)
    reloads = nest.out_words if len(nest.chunk_words) > 1 else 1
    rows = sum(nest.rows) * nest.layer.load.width
    return {
        "load": 2 * words * rows * nest.act_nibbles * reloads,
        "weight": words * nest.word_tiles * nest.out_words * len(nest.rows) * nest.weight_beats,
        "store_read": setup_beats(nest.config)
        + nest.out_words * (4 * len(nest.rows) + 2 * nest.second * pixels),
        "store_write": 2 * nest.out_words * pixels,
    }


@lru_cache(maxsize=4096)
def run(
    layer: Layer, config: Config, tiles: TilePlan, memory: MemoryTiming, timeline: bool = False,
) -> Estimate:
    """Cycles of `layer`, remembered: equal layers run once if they have no names."""
    nest = Nest(layer, config, tiles)
    machine = Machine(nest, memory, timeline)
    setup, end = setup_cycles(config, memory.latency), machine.run()
    busy = (sum(nest.pixels) * sum(nest.chunk_words) * nest.word_tiles * nest.out_words
            * nest.act_nibbles)
    idle, beats = machine.idle, _beats(nest)
    shared = _shared(config, memory, beats, end)
    spans = sorted(machine.spans, key=lambda s: (s.start, s.end, s.unit))
    return Estimate(
        layer=layer, config=config, tiles=tiles, memory=memory, cycles=setup + end + shared,
        busy=busy, beats=beats, timeline=tuple(spans),
        stalls={"load": idle.load, "weight": idle.weight, "store": idle.store,
                "memory": idle.memory + shared, "setup": setup})


def _shared(config: Config, memory: MemoryTiming, beats: dict[str, int], cycles: int) -> int:
    """Cycles that the ports lose to each other: no fewer than all their bytes take."""
    if memory.bandwidth is None:
        return 0
    return max(0, int(sum(beats.values()) * config.bus_bytes / memory.bandwidth) - cycles)
