"""The clock of the store unit: when each bank of partial sums has been stored."""

from math import ceil

from hqdm.cycles.nest import Nest
from hqdm.cycles.port import ReadPort
from hqdm.cycles.timing import (
    AHEAD,
    BEAT,
    GROUPS,
    ISSUE,
    MOVED,
    NEVER,
    OUTPUT,
    PARAMETER_BEATS,
    REQUEST,
    SECOND_WORDS,
    STORE_GAP,
    STORE_REQUEST,
    TAKEN,
    WRITE_WORDS,
    bank_ready,
    second_at,
    store_latency,
)
from hqdm.spec.stages import store_start

SHORT = 16      # words of a bank below which its parameters hold up its second operands
BLOCK = 32      # words after which their times repeat: the reader's window, in words


class Words:
    """The words of the output, one by one: second operand in, bursts out.

    begun[k] >= moved[k - WRITE_WORDS] + TAKEN: there is room in the writer
    issued[k] >= answered[k - outstanding] + 1

    Parameters
    ----------
    port: of the store's reads. second: when a word frees its second operand, after its
        last group; None if there is none.
    outstanding: bursts that await their answer at most. latency: of the memory.
    """

    def __init__(self, port: ReadPort, second: int | None, outstanding: int, latency: int) -> None:
        self._port, self._second = port, second
        self._outstanding, self._latency = outstanding, latency
        keep = max(outstanding, SECOND_WORDS, WRITE_WORDS)
        self.begun, self._moved, self.answered = ([NEVER] * keep for _ in range(3))
        self._keep = keep

    def one(self, earliest: int) -> int:
        """The next word: when its first group is issued."""
        begin = max(earliest, self.begun[-1] + GROUPS, self._moved[-WRITE_WORDS] + TAKEN)
        if self._second is not None:
            self._port.burst(2, STORE_REQUEST + REQUEST)
            self._port.take(2, self.begun[-SECOND_WORDS] + GROUPS + self._second)
            begin = max(begin, self._port.taken[-1] + 1)
        issued = max(begin + GROUPS - 1 + store_latency() + OUTPUT,
                     self.answered[-self._outstanding] + 1)
        moved = max(issued + MOVED, self._moved[-1] + ceil(MOVED * self._port.interval))
        for times, time in ((self.begun, begin), (self._moved, moved),
                            (self.answered, moved + self._latency)):
            times.append(time)
        return begin

    def shift(self, cycles: int) -> None:
        """Let everything have happened `cycles` later."""
        for times in (self.begun, self._moved, self.answered):
            times[:] = [t + cycles for t in times[-self._keep:]]


class StoreClock:
    """The store unit: four cycles per output word once its bank and its parameters are there.

    Members
    -------
    last: when the last group was issued. free: when the two latest banks may be claimed again.
    starved: cycles the store of each was held up by memory.
    """

    def __init__(self, nest: Nest, port: ReadPort, latency: int) -> None:
        self._ready = bank_ready(nest.config)
        self._port = port
        outstanding = nest.config.max_outstanding
        reader = nest.layer.store.second
        second = None if reader is None else second_at(reader)
        self._latency = latency
        self._words = Words(port, second, outstanding, latency)
        # fast enough a memory never holds up the store, but for the very first word
        self._fast = port.slack(2, GROUPS, 2) >= 1 and (
            latency + MOVED + 1 <= GROUPS * outstanding) and (
            second is None or min(nest.pixels) >= SHORT)
        # M, bias, second operand: the first of these beats, the second beat, the cycle after it
        self._first = (STORE_REQUEST + STORE_GAP * (1 + nest.second) + REQUEST + ISSUE + latency
                       + BEAT + 2)
        self.last = NEVER
        self.free = [NEVER, NEVER]
        self.starved = [0, 0]

    def bank(self, multiplied: int, pixels: int) -> tuple[int, int]:
        """Store a bank whose last column was issued at `multiplied`; first and last group."""
        ready = max(multiplied + self._ready, self.last + 2)
        start = ready
        set_free = self.free[0] - 1 + AHEAD + store_start("bias")
        if self._fast:
            start = max(start, self._first, set_free + PARAMETER_BEATS + 1)
            self.last = start + GROUPS * pixels - 1
        else:
            for _ in range(2):
                self._port.burst(2, STORE_REQUEST + REQUEST)
            self._port.take(PARAMETER_BEATS, set_free)
            start = self._all(max(start, self._port.taken[-1] + 1), pixels)
            self.last = self._words.begun[-1] + GROUPS - 1
        self.free = [self.free[1], self.last + 2]
        self.starved = [self.starved[1], self.last + 1 - ready - GROUPS * pixels]
        return start, self.last

    @property
    def times(self) -> tuple[int, ...]:
        """What tells one state of the clock from another."""
        if self._fast:
            return (self.last,)
        return self.last, self._words.answered[-1], self._port.taken[-1]

    @property
    def handed(self) -> int:
        """When the writer had the last word."""
        return max(self.last, self._words.begun[-1] + GROUPS - 1) + store_latency()

    @property
    def end(self) -> int:
        """When the memory has acknowledged the last word."""
        answered = self.last + store_latency() + OUTPUT + MOVED + self._latency
        return max(answered, self._words.answered[-1]) + 1

    def _all(self, start: int, pixels: int) -> int:
        """Word by word until they repeat; returns when the first began."""
        words, left = self._words, pixels - 1
        first = words.one(start)
        while left >= 4 * BLOCK:
            begun = words.begun
            steps = []
            for _ in range(2):
                before = begun[-1]
                for _ in range(BLOCK):
                    words.one(NEVER)
                steps.append(begun[-1] - before)
            left -= 2 * BLOCK
            if abs(steps[0] - steps[1]) <= self._port.jitter:
                repeats = left // BLOCK - 1
                words.shift(repeats * steps[1])
                self._port.shift(repeats * steps[1])
                left -= repeats * BLOCK
        for _ in range(left):
            words.one(NEVER)
        return first

    def shift(self, cycles: int) -> None:
        """Let everything have happened `cycles` later."""
        self.last += cycles
        self.free = [t + cycles for t in self.free]
        self._words.shift(cycles)
        self._port.shift(cycles)
