"""The clock of the array: passes, weight tiles, and what they wait for."""

from hqdm.cycles.nest import Nest
from hqdm.cycles.port import ReadPort, bursts
from hqdm.cycles.timing import LOADED, MIN_PASS, NEVER, REQUEST, SWAP
from hqdm.spec.config import BURST_BEATS
from hqdm.spec.stalls import Stalls

STEADY = 4      # weight tiles that take equally long before one believes that the others do


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
        # tiles after which the times repeat if the FIFO limits the rate
        self.window = port.period(self._beats)
        self._bursts = [bursts(k, self._beats) for k in range(BURST_BEATS)]
        self._address = 0
        self._offsets = [k * 8 // self._bits for k in range(self._beats)]   # when a beat is taken
        self._last_rows = self._n - (self._beats - 1) * 8 // self._bits
        self._row = self._push = self._before = self.start = NEVER
        self.starved = NEVER    # until then the latest tile waited for memory
        self._first = NEVER     # first beat of a group

    def steady(self, step: int) -> int:
        """After how many tiles, `step` cycles apart, the others come at this rate; 0: not so.

        If memory is no more than fast enough, a whole window of them.
        """
        if step < max(self._n, SWAP + LOADED):
            return 0
        slack = self.port.slack(self._beats, step, self._offsets[-1] + 1)
        if slack < 1:
            return 0
        return STEADY if slack >= 2 else self.window + STEADY

    def tile(self) -> int:
        """The next tile: when its first pass may start."""
        port, n = self.port, self._n
        for beats in self._bursts[self._address % BURST_BEATS]:
            port.burst(beats, REQUEST + 1)
        self._address += self._beats
        first, last = port.arrived[-self._beats], port.arrived[-1]
        free = max(self._row + n, self._before + n)
        emptied = self._row + n - 1     # the unpacker, by the last row of the tile before
        self._row = max(free, first + 1)
        full = max(self._row + n, last + 1 + self._last_rows)
        self.starved = full - n if full > free + n else NEVER
        taken = [self._row - 1 + offset for offset in self._offsets]
        taken[0] = max(first, emptied)
        if last - first == self._beats - 1:     # the beats are there when they are wanted
            port.taken.extend(taken)
        else:
            for time in taken:
                port.take(1, time)
        push = max(self._push + n, self.start + SWAP, full)
        self._before, self._push = self._push, push
        return push + LOADED

    def began(self) -> None:
        """The latest tile is the first of a group."""
        self._first = self.port.arrived[-self._beats]

    @property
    def arrivals(self) -> tuple[int, int]:
        """When the tiles of the latest group came: first beat, and the cycle after the last."""
        return self._first, self.port.arrived[-1] + 1

    def restart(self) -> None:
        """A new spatial tile: the stream is read from its beginning."""
        self._address = 0

    def skip(self, tiles: int, cycles: int) -> None:
        """Let `tiles` more tiles have taken `cycles`."""
        self._address += tiles * self._beats
        self.shift(cycles)

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
    end: the cycle after the last column issued. idle: why none was. weights: the weight stream.
    """

    def __init__(self, nest: Nest, port: ReadPort) -> None:
        self.weights = WeightClock(nest, port)
        self.idle = Stalls()
        self.end = 1
        self._rested = NEVER    # MIN_PASS cycles after the start of the latest pass
        self._nibbles = nest.act_nibbles

    @property
    def times(self) -> tuple[int, ...]:
        """What tells one state of the clock from another."""
        return self.end, self.weights.start, self.weights.port.arrived[-1]

    def shift(self, cycles: int) -> None:
        """Let everything have happened `cycles` later."""
        self.weights.shift(cycles)
        self.end += cycles
        self._rested += cycles

    def group(self, ready: int, free: int, tiles: int, pixels: int) -> tuple[int, int]:
        """Multiply `tiles` weight tiles with the `pixels` columns of a chunk.

        Parameters
        ----------
        ready: when the operands are there. free: when a bank is.

        Returns
        -------
        First and last column issued.
        """
        now = self._gate(ready, free)
        length = max(pixels, MIN_PASS) * self._nibbles
        short = length - pixels * self._nibbles     # cycles that a pass of few pixels rests
        done, history = 0, list[tuple[int, int, Stalls]]()
        first = None
        while done < tiles:
            start = self._start(now)
            if first is None:
                first = start
                self.weights.began()
            now, done = start + length, done + 1
            if short:
                self.idle += Stalls(weight=short)
            history.append((start, self.weights.port.arrived[-1], self.idle))
            if tiles - done > 1:
                block, repeats = self._repeats(history, tiles - done)
                if repeats:
                    now += self._skip(history, block, repeats)
                    done, history = done + block * repeats, []
        last = now - length + (self._nibbles - 1) * max(pixels, MIN_PASS) + pixels - 1
        assert first is not None
        last += self._late(first, pixels, now - first - tiles * length)
        if now != last + 1:
            self.idle -= Stalls(weight=now - last - 1)
        self.end, self._rested = last + 1, now
        return first, last

    def _late(self, first: int, pixels: int, slack: int) -> int:
        """By how much the last columns of short passes are late, MIN_PASS after those before.

        The first pass begins at `first`; `slack` is what there was to catch up.
        """
        return max(0, self.end - 1 + MIN_PASS - (first + pixels - 1) - slack)

    def _gate(self, ready: int, free: int) -> int:
        """Operands, then a bank, then the rest between two passes: when the group may start."""
        loaded, freed = max(self.end, ready), max(self.end, ready, free)
        rested = max(freed, self._rested)
        if rested > self.end:
            self.idle += Stalls(load=loaded - self.end, store=freed - loaded,
                                weight=rested - freed)
        return rested

    def _start(self, now: int) -> int:
        """The next weight tile is there: when its first pass starts."""
        weights = self.weights
        start = max(now, weights.tile())
        starved = min(start - now, max(0, weights.starved - now))
        if start > now:
            self.idle += Stalls(weight=start - now - starved, memory=starved)
        weights.start = start
        return start

    def _repeats(self, history: list[tuple[int, int, Stalls]], left: int) -> tuple[int, int]:
        """Weight tiles that take as long as as many before them, and how often they still do."""
        if len(history) > STEADY:
            step = history[-1][0] - history[-2][0]
            steady = self.weights.steady(step)
            starts = [entry[0] for entry in history[-steady - 1:]]
            if len(starts) > steady > 0 and starts == list(
                    range(starts[0], starts[-1] + 1, step)):
                return 1, left
        block = self.weights.window
        if len(history) > 2 * block and len(history) % block == 1 and left >= block:
            a, b, c = (history[-1 - k * block][:2] for k in (2, 1, 0))
            if len({b[0] - a[0], c[0] - b[0], b[1] - a[1], c[1] - b[1]}) == 1:
                return block, left // block
        return 1, 0

    def _skip(self, history: list[tuple[int, int, Stalls]], block: int, repeats: int) -> int:
        """Let `block` weight tiles repeat; returns the cycles they take."""
        (before, _, waited), (after, _, idle) = history[-1 - block], history[-1]
        cycles = repeats * (after - before)
        self.weights.skip(block * repeats, cycles)
        self.idle += (idle - waited) * repeats
        return cycles
