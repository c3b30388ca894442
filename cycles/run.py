"""One run of a layer through the clocks, and what it moved."""

from functools import lru_cache
from math import ceil

from hqdm.cycles.estimate import Estimate, MemoryTiming
from hqdm.cycles.machine import Machine
from hqdm.cycles.nest import Nest
from hqdm.cycles.timing import FIFO_BEATS, GROUPS, setup_beats, setup_cycles
from hqdm.spec.config import Config
from hqdm.spec.layer import Layer
from hqdm.spec.loop_nest import TilePlan
from hqdm.spec.stalls import Stalls

DEFAULT_MEMORY = MemoryTiming()
SHARING_RUNS = 2    # until the shares of the ports have settled


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


def _busy(nest: Nest) -> int:
    """Cycles in which the array takes a column of operands."""
    return nest.act_nibbles * sum(nest.pixels) * _passes(nest)


def _passes(nest: Nest) -> int:
    """Weight tiles of one spatial tile."""
    return sum(nest.chunk_words) * nest.word_tiles * nest.out_words


def at_least(layer: Layer, config: Config, tiles: TilePlan) -> tuple[int, dict[str, int]]:
    """Cycles that a run takes at least, and its beats by port, without following the clocks.

    The first chunk is loaded, then array, loads or store have all of their work before them, and
    the store of the last output word follows the array's last column.
    """
    nest = Nest(layer, config, tiles)
    beats = _beats(nest)
    first, last = nest.chunk(0, 0), nest.pixels[-1]
    loaded = first.beats * first.nibbles
    array = max(_busy(nest), (_passes(nest) * len(nest.rows) - 1) * config.n) + GROUPS * last
    store = GROUPS * sum(nest.pixels) * nest.out_words
    return loaded + max(array, beats["load"] - loaded, store), beats


@lru_cache(maxsize=4096)
def run(
    layer: Layer, config: Config, tiles: TilePlan, memory: MemoryTiming, timeline: bool = False,
) -> Estimate:
    """Cycles of `layer`, remembered: equal layers run once if they have no names."""
    nest = Nest(layer, config, tiles)
    beats = _beats(nest)
    machine, end = _run(nest, memory, beats, timeline)
    setup = setup_cycles(config, memory.latency, memory.interval(config))
    spans = sorted(machine.spans, key=lambda s: (s.start, s.end, s.unit))
    least = int(sum(beats.values()) * memory.interval(config)) if memory.bandwidth else 0
    shared = max(0, least - end)
    return Estimate(
        layer=layer, config=config, tiles=tiles, memory=memory, cycles=setup + end + shared,
        busy=_busy(nest), beats=beats, timeline=tuple(spans),
        stalls=machine.idle + Stalls(memory=shared, setup=setup))


def _rounded(interval: float) -> float:
    """At least 1, and such that the beats of a FIFO take whole cycles: then times repeat."""
    return max(1.0, ceil(interval * FIFO_BEATS) / FIFO_BEATS)


def _run(nest: Nest, memory: MemoryTiming, beats: dict[str, int], timeline: bool,
         ) -> tuple[Machine, int]:
    """The clocks after the layer, and its cycles from START on.

    With a limited bandwidth, each port gets what the others leave of it on average, but at least
    its fair share: a few runs, each with the rates of the one before.
    """
    whole = memory.interval(nest.config) if memory.bandwidth is None else (
        nest.config.bus_bytes / float(memory.bandwidth))
    demand = (beats["load"], beats["weight"], beats["store_read"] + beats["store_write"])
    intervals = (_rounded(whole),) * len(demand)
    for _ in range(1 if memory.bandwidth is None else 1 + SHARING_RUNS):
        machine = Machine(nest, memory.latency, intervals, timeline)
        end = machine.run()
        left = (1 / whole - (sum(demand) - own) / end for own in demand)
        intervals = tuple(_rounded(1 / max(rate, 1 / whole / len(demand))) for rate in left)
    return machine, end
