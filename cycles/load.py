"""The clock of the load unit: when each chunk is in the operand buffer."""

from bisect import bisect_left
from dataclasses import dataclass, replace

from hqdm.cycles.nest import Chunk, Nest
from hqdm.cycles.port import ReadPort
from hqdm.cycles.reading import Reading
from hqdm.cycles.timing import (
    BANK_DONE,
    BANK_FREE,
    NEVER,
    NEXT,
    QUEUE,
    REQUESTS,
    WRITTEN,
)
from hqdm.spec.stages import load_latency


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

    def later(self, cycles: int) -> "Loaded":
        """The same, `cycles` later."""
        return replace(
            self, start=self.start + cycles, first=self.first + cycles, last=self.last + cycles,
            halted=self.halted + cycles, claimed=self.claimed + cycles,
            ready=self.ready + cycles)

    def waiting(self, begin: int, end: int, taken: list[int]) -> int:
        """Cycles from `begin` to `end` in which a beat was wanted and not there.

        `taken`: when the latest beats were. If it does not go back far enough, those that were
        late are thought to be spread evenly over the chunk.
        """
        early = _overlap(self.start, self.first, begin, end)
        low, high = max(begin, self.first), min(end, self.last + 1)
        if low >= high:
            return early
        late = high - low - _overlap(self.halted, self.claimed, low, high)
        if taken[0] <= low:
            return early + late - (bisect_left(taken, high) - bisect_left(taken, low))
        halted = _overlap(self.halted, self.claimed, self.first, self.last)
        total = self.last + 1 - self.first - halted
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
        self._latency = load_latency(nest.config.lanes, nest.axis, nest.order)
        self._stride = nest.tiles.chunk_words + 2 if nest.act_nibbles == 2 else 0
        self._loaded = NEVER        # when the data side took the latest chunk
        self._taken = NEVER         # when the writer did
        self._written = NEVER       # when the last operand of the chunk before was written
        self._reading: Reading | None = None
        self.current: Loaded | None = None
        self._before: Loaded | None = None

    def begin(self, chunk: Chunk) -> Loaded | None:
        """Let the first beats of the next chunk in; returns the one before, now `ready`."""
        before, reading = self.current, self._reading
        valid = REQUESTS + (reading.accepted + chunk.seek if reading else 0)
        self._loaded = max(valid + QUEUE, self._loaded + NEXT, self._taken + 1,
                           before.last + 1 if before else 0)
        reading = self._reading = Reading(self.port, chunk, valid)
        beats, mark = reading.left, len(self.port.taken)
        inside, start = min(beats, self._latency), self._loaded + 1
        if before and before.beats <= self._latency:
            self._push_short(before, reading, start)
        reading.take(inside - (beats - reading.left), start)
        times = self.port.taken[mark:]
        if before and before.beats > self._latency:
            self._push(before, times)
        self._taken = max(self._written + WRITTEN, self._loaded) + 1
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

    def _push_short(self, before: Loaded, reading: Reading | None, start: int) -> None:
        """The same, advance by advance, for a chunk that is in the pipeline as a whole.

        Its own first operand may stop the pipeline. In the cycle after the last operand of the
        chunk before it, the writer has no chunk, and nothing is flushed.
        """
        now, moved, idle = before.last, before.beats, self._written + WRITTEN + 1
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
        now.claimed = max(self._taken + 2, free + BANK_FREE,
                          self._written + WRITTEN + BANK_FREE, self._stride)
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
        return sum(loaded.waiting(begin, end, self.port.taken)
                   for loaded in (self._before, self.current) if loaded)

    def shift(self, cycles: int) -> None:
        """Let everything have happened `cycles` later."""
        self.port.shift(cycles)
        self._loaded += cycles
        self._taken += cycles
        self._written += cycles
        if self._reading:
            self._reading.accepted += cycles
        self._before, self.current = (
            loaded and loaded.later(cycles) for loaded in (self._before, self.current))
