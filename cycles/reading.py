"""The beats of one chunk as the load unit takes them."""

from math import lcm

from hqdm.cycles.nest import Chunk
from hqdm.cycles.port import ReadPort
from hqdm.cycles.timing import FIFO_BEATS, NEVER, REQUEST, SPLIT


class Reading:
    """The beats of one chunk, a few at a time.

    Parameters
    ----------
    port: of the load unit. chunk: what to read. valid: when the first request can be made.

    Members
    -------
    accepted: when the reader took the latest request.
    """

    def __init__(self, port: ReadPort, chunk: Chunk, valid: int) -> None:
        self._port, self._chunk = port, chunk
        self._valid = valid
        self.accepted = NEVER
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
            self.accepted = 1 + max(self._valid - 1, self._port.before, self.accepted + SPLIT)
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
        if self._port.fluent and self.left > 2 * FIFO_BEATS + self._port.filling(self._chunk.mean):
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
        self.accepted = self._port.flow(self.left, *self._chunk.ending)
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
