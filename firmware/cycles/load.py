"""The clock of the load unit: when each chunk is in the operand buffer."""

from dataclasses import dataclass, replace
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

    def next_beat(self) -> int:
        """When the next beat is there."""
        if not self._pending:
            self._issue()
        return self._port.arrived[len(self._port.taken)]

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
        if self._port.fluent and self.left > 2 * FIFO_BEATS:
            self._flow()
        while self.left:
            left = self._left + self._pending       # of the nibble pass
            if left < 4 * block:
                self.take(left, NEVER)
                continue
            first, second = self._time_of(block), self._time_of(block)
            if abs(first - second) <= self._port.jitter:
                self._skip(left // block - 3, block, second)

    def _flow(self) -> None:
        """Take all that is left, a beat in every cycle."""
        request, burst = self._chunk.ending
        self.accepted = self._port.flow(self.left, request, burst)
        self._left = self._pending = 0
        self._nibbles = 1

    def _time_of(self, beats: int) -> int:
        """Cycles that the next `beats` beats take."""
        before = self._port.taken[-1]
        self.take(beats, NEVER)
        return self._port.taken[-1] - before

    def _skip(self, blocks: int, beats: int, cycles: int) -> None:
        self._port.shift(blocks * cycles)
        self.accepted += blocks * cycles
        self._left -= blocks * beats


def _overlap(a: int, b: int, c: int, d: int) -> int:
    """Common length of the intervals a .. b and c .. d."""
    return max(0, min(b, d) - max(a, c))


@dataclass
class Loaded:
    """When a chunk is loaded.

    Members
    -------
    start: when the data side is ready for the first beat. first, last: when these beats come.
    halted, claimed: when the pipeline stops because no half of the buffer is free, and when it
        may go on; it does not stop if the second comes before the first.
    beats: of the chunk. inside: those taken so far.
    ready: when it may be multiplied, set by the chunk after it.
    """

    start: int
    first: int
    last: int
    beats: int
    inside: int
    halted: int = NEVER
    claimed: int = NEVER
    ready: int = NEVER

    def waiting(self, begin: int, end: int) -> int:
        """Cycles from `begin` to `end` in which a beat was wanted and not there.

        Those after the first beat are taken to be spread evenly.
        """
        early = _overlap(self.start, self.first, begin, end)
        halted = _overlap(self.halted, self.claimed, self.first, self.last)
        total = self.last + 1 - self.first - halted
        late = _overlap(self.first, self.last + 1, begin, end) - _overlap(
            self.halted, self.claimed, max(begin, self.first), min(end, self.last))
        return early + late * (total - self.inside) // total


class LoadClock:
    """The load unit: requests, pipeline, buffer halves.

    The pipeline of `latency` advances moves with every beat, and between chunks every cycle. The
    first operand of a chunk stops it until its half of the buffer is free.

    Members
    -------
    port: the read port. current: the chunk begun last.
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
        self._before: Loaded | None = None

    def begin(self, chunk: Chunk) -> Loaded | None:
        """Let the first beats of the next chunk in; returns the one before, now `ready`."""
        before, reading = self.current, self._reading
        valid = REQUESTS + (reading.accepted + chunk.seek if reading else 0)
        self._loaded = max(SEQUENCE, self._loaded + SEQUENCE, self._taken + 1,
                           before.last + 1 if before else 0)
        reading = self._reading = _Reading(self.port, chunk, valid)
        beats, mark = reading.left, len(self.port.taken)
        inside, start = min(beats, self._latency), self._loaded + 1
        if before and before.beats <= self._latency:
            self._push_short(before, reading, start)
        reading.take(inside - (beats - reading.left), start)
        times = self.port.taken[mark:]
        if before and before.beats > self._latency:
            self._push(before, times)
        self._taken = max(self._written, self._loaded) + 1
        self.current = Loaded(start, times[0], times[-1], beats, len(times))
        self._before = before
        return before

    def _push(self, before: Loaded, times: list[int]) -> None:
        """The last operand of the chunk before is pushed out by flushing, then by `times`."""
        left = self._latency - (times[0] - before.last - 1)
        if left <= 0:
            self._written = before.last + self._latency
        elif left <= len(times):
            self._written = times[left - 1]
        else:
            self._written = times[-1] + left - len(times)
        before.ready = self._written + BANK_DONE

    def _push_short(self, before: Loaded, reading: _Reading | None, start: int) -> None:
        """The same, advance by advance, for a chunk that is in the pipeline as a whole.

        Its own first operand may stop the pipeline. In the cycle after the last operand of the
        chunk before it, the writer has no chunk, and nothing is flushed.
        """
        now, moved, idle = before.last, before.beats, self._written + 1
        total = reading.left if reading else 0
        while moved < before.beats + self._latency:
            if moved >= self._latency:
                now = max(now, before.claimed - 1)
            now += 1
            if reading and reading.left and (
                    reading.left < total or max(start, reading.next_beat()) <= now):
                reading.take(1, now)
                now = self.port.taken[-1]
            elif now == idle:
                continue
            moved += 1
        self._written = now
        before.ready = now + BANK_DONE

    def finish(self, free: int) -> None:
        """Let the rest of the chunk in; `free` is when its half was left by the array."""
        now, reading = self.current, self._reading
        assert now is not None and reading is not None
        now.claimed = max(self._taken + 2, free + BANK_FREE, self._written + BANK_FREE,
                          self._stride)
        now.halted = max(now.last + 1, now.first + self._latency)
        if reading.left:
            reading.finish(now.claimed)
            now.last, now.inside = self.port.taken[-1], now.beats

    def flush(self) -> Loaded:
        """The last chunk is followed by nothing."""
        now = self.current
        assert now is not None
        if now.beats > self._latency:
            now.ready = now.last + self._latency + BANK_DONE
        else:
            self._push_short(now, None, 0)
        self._before, self.current = now, None
        return now

    @property
    def times(self) -> tuple[int, ...]:
        """What tells one state of the clock from another."""
        return self._written, self.port.taken[-1], self.port.issued

    def waiting(self, begin: int, end: int) -> int:
        """Cycles from `begin` to `end` in which the unit wanted a beat that was not there."""
        return sum(loaded.waiting(begin, end) for loaded in (self._before, self.current)
                   if loaded)

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
            self.current = replace(
                now, start=now.start + cycles, first=now.first + cycles, last=now.last + cycles,
                halted=now.halted + cycles, claimed=now.claimed + cycles)
