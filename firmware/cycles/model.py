"""The cycle model: `estimate(layer, config)`."""

from dataclasses import replace
from functools import lru_cache

from firmware.cycles.constants import FIFO_BEATS, NEVER, setup_beats, setup_cycles, weight_fifo_beats
from firmware.cycles.estimate import Estimate, MemoryTiming, Span
from firmware.cycles.load import LoadClock
from firmware.cycles.multiply import MultiplyClock
from firmware.cycles.nest import Nest
from firmware.cycles.port import ReadPort
from firmware.cycles.store import StoreClock
from firmware.tiling import TilePlan, plan
from spec.config import Config
from spec.layer import Layer

__all__ = ["Estimate", "MemoryTiming", "Span", "estimate"]


class Run:
    def __init__(self, nest, memory, timeline):
        self.nest, self.memory = nest, memory
        latency = memory.latency
        interval = 1
        if memory.bandwidth is not None:
            interval = max(1, nest.config.bus_bytes / memory.bandwidth)
        self.load = LoadClock(nest, ReadPort(latency, interval, FIFO_BEATS))
        self.multiply = MultiplyClock(nest, ReadPort(latency, interval, weight_fifo_beats(nest.config)))
        self.store = StoreClock(nest, ReadPort(latency, interval, FIFO_BEATS), latency)
        self.free = [NEVER, NEVER]
        self.load_memory = 0

    def wait_memory(self, begin, end):
        return 0

    def run(self):
        nest = self.nest
        resident = len(nest.chunk_words) == 1
        order = []
        for s in range(len(nest.pixels)):
            for o in range(nest.out_words):
                for c in range(len(nest.chunk_words)):
                    order.append((s, o, c))
        loads = [(s, c) for s, o, c in order if not resident or o == 0]
        chunks = []
        row = 0
        for s, c in loads:
            chunks.append(nest.chunk(s, c, seek=nest.first_rows[s] - row))
            row = nest.first_rows[s]
        i = -1
        ready = 0
        self.load.begin(chunks[0])
        for s, o, c in order:
            if not resident or o == 0:
                i += 1
                self.load.finish(self.free[0])
                if i + 1 < len(chunks):
                    done = self.load.begin(chunks[i + 1])
                else:
                    done = self.load.flush()
                ready = done.ready
            free = self.store.free[0] if c == 0 else NEVER
            first, last = self.multiply.group(ready, free, nest.chunk_words[c] * nest.word_tiles, nest.pixels[s])
            if not resident or o == nest.out_words - 1:
                self.free = [self.free[1], last]
            if c == len(nest.chunk_words) - 1:
                self.store.bank(last, nest.pixels[s])
        return self.store.end


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
    nest = Nest(layer, config, tiles)
    passes = sum(nest.chunk_words) * nest.word_tiles * nest.out_words
    pixels = sum(nest.pixels)
    busy = pixels * passes * nest.act_nibbles
    reloads = nest.out_words if tiles.chunks > 1 else 1
    beats = {
        "load": 2 * sum(nest.chunk_words) * sum(nest.rows) * layer.load.width * nest.act_nibbles * reloads,
        "weight": passes * len(nest.rows) * nest.weight_beats,
        "store_read": setup_beats(config) + nest.out_words * (4 * len(nest.rows) + 2 * nest.second * pixels),
        "store_write": 2 * nest.out_words * pixels,
    }
    run = Run(nest, memory, timeline)
    end = run.run()
    setup = setup_cycles(config, memory.latency)
    cycles = setup + end + 1
    waits = run.multiply.waits
    stalls = {"load": waits.operands, "weight": waits.weights - waits.weight_memory, "store": waits.store, "memory": waits.weight_memory, "setup": setup}
    stalls["store"] += cycles - busy - sum(stalls.values())
    return Estimate(layer=layer, config=config, tiles=tiles, memory=memory, cycles=cycles,
                    busy=busy, stalls=stalls, beats=beats)
