"""The clock of the array: passes, weight tiles, and what they wait for."""

from dataclasses import dataclass, field

from firmware.cycles.constants import LOADED, MIN_PASS, NEVER, SWAP
from firmware.cycles.nest import Nest
from firmware.cycles.port import ReadPort, bursts

STEADY = 4      # equal weight tiles in a row after which the others take as long


@dataclass
class Waits:
    """Cycles the array was idle, by what it waited for."""

    operands: int = 0
    weights: int = 0
    weight_memory: int = 0
    store: int = 0


class WeightClock:
    """Weight tiles: from memory to the row memory (two tiles), from there into the cells.

    row[j] = max(row[j-1] + n, push[j-2] + n, first beat + 1)     its first row is unpacked
    full[j] = max(row[j] + n, last beat + 1 + rows of that beat)
    push[j] = max(push[j-1] + n, start[j-1] + SWAP, full[j])      its first row goes to the cells
    start[j] >= push[j] + LOADED                                   its first pass
    """

    def __init__(self, nest: Nest, port: ReadPort) -> None:
        self.port = port
        self._n, self._bits = nest.config.n, nest.weight_bits
        self._beats = nest.weight_beats
        self._bursts = bursts(0, self._beats)
        self._last_rows = self._n - (self._beats - 1) * 8 // self._bits
        self._row = self._push = self._before = self.start = NEVER
        self.starved = 0    # cycles the latest tile was late because of memory
        bound = nest.act_nibbles * 0 + self._n
        self.period = max(bound, SWAP + LOADED)

    def tile(self) -> int:
        """The next tile: when its first pass may start."""
        port, n = self.port, self._n
        for beats in self._bursts:
            port.burst(beats, 2)
        first, last = port.arrived[-self._beats], port.arrived[-1]
        free = max(self._row + n, self._before + n)
        self._row = max(free, first + 1)
        full = max(self._row + n, last + 1 + self._last_rows)
        self.starved = full - max(free + n, 0)
        for k in range(self._beats):
            port.take(1, self._row - 1 + k * 8 // self._bits)
        push = max(self._push + n, self.start + SWAP, full)
        self._before, self._push = self._push, push
        return push + LOADED

    def shift(self, cycles: int) -> None:
        """Let everything have happened `cycles` later."""
        self.port.shift(cycles)
        self._row += cycles
        self._push += cycles
        self._before += cycles
        self.start += cycles


class MultiplyClock:
    """The sequencer: one column per cycle while operands, a bank and weights are there.

    Members
    -------
    end: the cycle after the last column issued. waits: see `Waits`. weights: the weight stream.
    """

    def __init__(self, nest: Nest, port: ReadPort) -> None:
        self.weights = WeightClock(nest, port)
        self.waits = Waits()
        self.end = 1
        self._nibbles = nest.act_nibbles

    def group(self, ready: int, free: int, tiles: int, pixels: int) -> tuple[int, int]:
        """Multiply `tiles` weight tiles with the `pixels` columns of a chunk.

        Parameters
        ----------
        ready: when the operands are there. free: when a bank is.

        Returns
        -------
        First and last column issued.
        """
        now = max(self.end, ready, free)
        self.waits.operands += max(0, ready - self.end)
        self.waits.store += now - max(self.end, ready)
        begin = now
        length = max(pixels, MIN_PASS) * self._nibbles
        weights, steps = self.weights, [0] * STEADY
        first = None
        done = 0
        while done < tiles:
            loaded = weights.tile()
            wait = max(0, loaded - now)
            self.waits.weights += wait
            self.waits.weight_memory += min(wait, max(0, weights.starved))
            start = max(now, loaded)
            first = start if first is None else first
            steps = [*steps[1:], start - weights.start]
            weights.start = start
            now = start + length
            done += 1
            left = tiles - done
            if left > 1 and done > STEADY and len(set(steps)) == 1:
                self._skip(left, steps[-1], length)
                now += left * steps[-1]
                done = tiles
        last = now - length + (self._nibbles - 1) * max(pixels, MIN_PASS) + pixels - 1
        self.end = last + 1
        return first, last

    def _skip(self, tiles: int, step: int, length: int) -> None:
        self.weights.shift(tiles * step)
        self.waits.weights += tiles * (step - length)

