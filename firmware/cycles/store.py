"""The clock of the store unit: when each bank of partial sums has been stored."""

from firmware.cycles.constants import GROUPS, NEVER, bank_ready
from firmware.cycles.nest import Nest
from firmware.cycles.port import ReadPort


class StoreClock:
    """The store unit: four cycles per output word once its bank and its parameters are there.

    Members
    -------
    released: when the two latest banks may be claimed again, the older first.
    last: when the last group was issued.
    """

    def __init__(self, nest: Nest, port: ReadPort, latency: int) -> None:
        self._ready = bank_ready(nest.config)
        self._second = nest.second
        self.last = NEVER
        self.released = [NEVER, NEVER]
        self._first = latency + 9 + 2 * self._second

    def bank(self, multiplied: int, pixels: int) -> tuple[int, int]:
        """Store a bank whose last column was issued at `multiplied`; first and last group."""
        start = max(multiplied + self._ready, self.last + 2, self._first)
        self.last = start + GROUPS * pixels - 1
        self.released = [self.released[1], self.last + 2]
        return start, self.last

    def shift(self, cycles: int) -> None:
        """Let everything have happened `cycles` later."""
        self.last += cycles
        self.released = [t + cycles for t in self.released]
