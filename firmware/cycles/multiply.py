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
        # tiles after which the times repeat: those the FIFO holds, if it limits the rate
        self.window = port.window(self._beats)
        self._bursts = bursts(0, self._beats)
        self._last_rows = self._n - (self._beats - 1) * 8 // self._bits
        self._row = self._push = self._before = self.start = NEVER
        self.starved = 0    # cycles the latest tile was late because of memory

    def sustains(self, step: int) -> bool:
        """Whether a tile can come every `step` cycles: into the cells, and from memory."""
        return step >= max(self._n, SWAP + LOADED) and self.port.sustains(self._beats, self.window, step)

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
        length = max(pixels, MIN_PASS) * self._nibbles
        done, history = 0, list[tuple[int, int, int]]()
        first = None
        while done < tiles:
            start = self._start(now)
            first = start if first is None else first
            now, done = start + length, done + 1
            history.append((start, self.waits.weights, self.waits.weight_memory))
            if tiles - done > 1:
                block, repeats = self._repeats(history, tiles - done)
                if repeats:
                    now += self._skip(history, block, repeats)
                    done, history = done + block * repeats, []
        last = now - length + (self._nibbles - 1) * max(pixels, MIN_PASS) + pixels - 1
        self.end = last + 1
        assert first is not None
        return first, last

    def _start(self, now: int) -> int:
        """The next weight tile is there: when its first pass starts."""
        weights = self.weights
        start = max(now, weights.tile())
        self.waits.weights += start - now
        self.waits.weight_memory += min(start - now, max(0, weights.starved))
        weights.start = start
        return start

    def _repeats(self, history: list[tuple[int, int, int]], left: int) -> tuple[int, int]:
        """Weight tiles that take as long as as many before them, and how often they still do."""
        if len(history) > STEADY:
            starts = [start for start, _, _ in history[-STEADY - 1:]]
            step = starts[-1] - starts[-2]
            if self.weights.sustains(step) and starts == list(
                    range(starts[0], starts[-1] + 1, step)):
                return 1, left
        block = self.weights.window
        if len(history) > 2 * block and len(history) % block == 1 and left >= block:
            a, b, c = (history[-1 - k * block][0] for k in (2, 1, 0))
            if b - a == c - b:
                return block, left // block
        return 1, 0

    def _skip(self, history: list[tuple[int, int, int]], block: int, repeats: int) -> int:
        """Let `block` weight tiles repeat; returns the cycles they take."""
        cycles, waited, starved = (
            repeats * (after - before)
            for before, after in zip(history[-1 - block], history[-1], strict=True))
        self.weights.shift(cycles)
        self.waits.weights += waited
        self.waits.weight_memory += starved
        return cycles
