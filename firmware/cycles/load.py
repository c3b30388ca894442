"""The clock of the load unit: when each chunk is in the operand buffer."""

from dataclasses import dataclass
from math import lcm

from firmware.cycles.constants import (
    BANK_DONE,
    BANK_FREE,
    FIFO_BEATS,
    NEVER,
    REQUEST,
    REQUESTS,
    SEQUENCE,
    load_latency,
)
from firmware.cycles.nest import Chunk, Nest
from firmware.cycles.port import ReadPort


class _Reading:
    """The beats of one chunk, a few at a time."""

    def __init__(self, port: ReadPort, chunk: Chunk, valid: int) -> None:
        self._port, self._chunk = port, chunk
        self._valid = valid             # when the first request can be made
        self.accepted = NEVER           # when the latest request was taken by the reader
        self._unit = 0                  # position in chunk.unit
        self._left = chunk.beats        # of the nibble pass
        self._nibbles = chunk.nibbles
        self._pending = 0               # beats issued and not taken

    @property
    def left(self) -> int:
        """Beats still to be taken."""
        return self._left + (self._nibbles - 1) * self._chunk.beats + self._pending

    def _issue(self) -> None:
        beats, begins = self._chunk.unit[self._unit]
        if begins:
            self.accepted = max(self._valid, self._port.issued, self.accepted + 1)
        self._port.burst(beats, self.accepted + REQUEST)
        self._pending = beats
        self._unit = (self._unit + 1) % len(self._chunk.unit)
        self._left -= beats
        if self._left <= 0 and self._nibbles > 1:
            self._nibbles -= 1
            self._left, self._unit = self._chunk.beats, 0
            self._valid = self.accepted + 2     # one state between the nibbles

    def take(self, count: int, earliest: int) -> None:
        """Take `count` beats, the first in the cycle `earliest` or later."""
        while count:
            if not self._pending:
                self._issue()
            beats = min(count, self._pending)
            self._port.take(beats, earliest)
            self._pending -= beats
            count -= beats

    def finish(self, earliest: int) -> None:
        """Take all that is left, the next beat in the cycle `earliest` or later.

        Once a block of bursts has taken as long as the one before, so will the others.
        """
        block = lcm(self._chunk.unit_beats, FIFO_BEATS)
        self.take(min(self.left, self._pending or 1), earliest)
        while self.left:
            left = self._left + self._pending       # of the nibble pass
            if left < 4 * block:
                self.take(left, NEVER)
                continue
            first, second = self._time_of(block), self._time_of(block)
            if abs(first - second) <= self._port.jitter:
                self._skip(left // block - 3, block, second)

    def _time_of(self, beats: int) -> int:
        """Cycles that the next `beats` beats take."""
        before = self._port.taken[-1]
        self.take(beats, NEVER)
        return self._port.taken[-1] - before

    def _skip(self, blocks: int, beats: int, cycles: int) -> None:
        self._port.shift(blocks * cycles)
        self.accepted += blocks * cycles
        self._left -= blocks * beats


@dataclass
class Loaded:
    """When a chunk is loaded.

    Members
    -------
    start: when the data side is ready for the first beat. first, last: when these beats come.
    halted: cycles in which the pipeline stood still because no half of the buffer was free.
    beats: of the chunk. ready: when it may be multiplied, set by the chunk after it.
    """

    start: int
    first: int
    last: int
    halted: tuple[int, int]
    beats: int
    ready: int = 0


class LoadClock:
    """The load unit: requests, pipeline, buffer halves.

    The pipeline of `latency` advances moves with every beat, and between chunks every cycle. The
    first operand of a chunk stops it until its half of the buffer is free.

    Members
    -------
    port: the read port.
    """

    def __init__(self, nest: Nest, port: ReadPort) -> None:
        self.port = port
        self._latency = load_latency(nest.config, nest.axis, nest.order)
        self._stride = nest.tiles.chunk_words + 2 if nest.act_nibbles == 2 else 0
        self._loaded = NEVER        # when the data side took the latest chunk
        self._taken = NEVER         # when the writer did
        self._written = NEVER       # when the last operand of the chunk before was written
        self._reading: _Reading | None = None
        self.current: Loaded | None = None

    def begin(self, chunk: Chunk) -> Loaded | None:
        """Let the first beats of the next chunk in; returns the one before, now `ready`."""
        before, reading = self.current, self._reading
        valid = REQUESTS + (reading.accepted + chunk.seek if reading else 0)
        self._loaded = max(SEQUENCE, self._loaded + SEQUENCE, self._taken + 1,
                           before.last + 1 if before else 0)
        reading = self._reading = _Reading(self.port, chunk, valid)
        inside = min(reading.left, self._latency)
        beats, mark = reading.left, len(self.port.taken)
        reading.take(inside, self._loaded + 1)
        times = self.port.taken[mark:]
        if before:
            self._write(before, times)
        self._taken = max(self._written, self._loaded) + 1
        self.current = Loaded(self._loaded + 1, times[0], times[-1], (0, 0), beats)
        return before

    def _write(self, before: Loaded, times: list[int]) -> None:
        """The last operand of the chunk before: pushed out by flushing and by `times`."""
        gap = times[0] - before.last - 1
        left = self._latency - gap
        if left <= 0:
            written = before.last + self._latency
        elif left <= len(times):
            written = times[left - 1]
        else:
            written = times[-1] + left - len(times)
        self._written = max(written, before.halted[1] + before.beats - 1)
        before.ready = self._written + BANK_DONE

    def finish(self, free: int) -> None:
        """Let the rest of the chunk in; `free` is when its half was left by the array."""
        now, reading = self.current, self._reading
        assert now is not None and reading is not None
        claimed = max(self._taken + 2, free + BANK_FREE, self._written + BANK_FREE, self._stride)
        halt = now.last + 1 if reading.left else now.first + self._latency
        now.halted = (halt, claimed) if claimed > halt else (0, 0)
        if reading.left:
            reading.finish(claimed)
            now.last = self.port.taken[-1]

    def flush(self) -> Loaded:
        """The last chunk is followed by nothing."""
        now = self.current
        assert now is not None
        now.ready = max(now.last + self._latency, now.halted[1] + now.beats - 1) + BANK_DONE
        return now

    def shift(self, cycles: int) -> None:
        """Let everything have happened `cycles` later."""
        self.port.shift(cycles)
        self._loaded += cycles
        self._taken += cycles
        self._written += cycles
        if self._reading:
            self._reading.accepted += cycles
        if self.current:
            now = self.current
            self.current = Loaded(now.start + cycles, now.first + cycles, now.last + cycles,
                                  (now.halted[0] + cycles, now.halted[1] + cycles), now.beats)
