"""The clocks of load, array and store along one loop nest, meeting through buffer tokens."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hqdm.cycles.estimate import Span, Unit
from hqdm.cycles.load import LoadClock
from hqdm.cycles.multiply import MultiplyClock
from hqdm.cycles.nest import Chunk, Nest
from hqdm.cycles.port import ReadPort
from hqdm.cycles.store import StoreClock
from hqdm.cycles.timing import FIFO_BEATS, GAP, NEVER, STORE_GAP, weight_fifo_beats
from hqdm.spec.stalls import Stalls


@dataclass(frozen=True)
class _Mark:
    """Where the clocks stood after a piece of the loop nest, and the idle cycles until then."""

    times: tuple[int, ...]
    idle: Stalls


def _step(marks: list[_Mark], jitter: int) -> int:
    """Cycles of the last piece if all clocks took as long, and for the piece before; else 0."""
    if len(marks) < 3:
        return 0
    a, b, c = (mark.times for mark in marks[-3:])
    step = c[0] - b[0]
    steps = [y - x for before, after in ((a, b), (b, c))
             for x, y in zip(before, after, strict=True)]
    return step if all(abs(s - step) <= jitter for s in steps) else 0


@dataclass
class Machine:
    """Runs the loop nest once.

    Pieces that are alike (output words of a tile, tiles of an image) are skipped once two in a
    row took the same time in every clock: the recurrences know nothing but differences of times,
    so the others take as long.

    Parameters
    ----------
    nest: what to run. latency: of the memory.
    intervals: cycles between two beats of the ports of load, weights and store.
    record: keep the timeline, and skip nothing.

    Members
    -------
    spans: the timeline.
    """

    nest: Nest
    latency: int
    intervals: tuple[float, ...]
    record: bool = False
    spans: list[Span] = field(default_factory=list)

    def __post_init__(self) -> None:
        config = self.nest.config
        depths = FIFO_BEATS, weight_fifo_beats(config), FIFO_BEATS
        load, weight, store = (
            ReadPort(self.latency, interval, depth, config.max_outstanding, gap)
            for interval, depth, gap in zip(
                self.intervals, depths, (GAP, GAP, STORE_GAP), strict=True))
        self._load = LoadClock(self.nest, load)
        self._multiply = MultiplyClock(self.nest, weight)
        self._store = StoreClock(self.nest, store, self.latency)
        self._jitter = 2 * max(port.jitter for port in (load, weight, store))
        self._left = [NEVER, NEVER]     # when the two latest halves of the buffer were left
        self._ready = NEVER             # when the latest chunk could be multiplied
        self._resident = len(self.nest.chunk_words) == 1

    @property
    def idle(self) -> Stalls:
        """Why the array was idle."""
        return self._multiply.idle

    def run(self) -> int:
        """Cycles from START to the acknowledgement of the last word, both included."""
        nest = self.nest
        self._load.begin(nest.chunk(0, 0))

        def skip(tile: int, step: int) -> int:
            repeats = nest.alike(tile) - 1      # the chunk of the next tile has begun
            self._skip(step, repeats, (self._multiply, self._store, self._load))
            return repeats

        self._repeat(len(nest.pixels), self._tile, skip, loads=True)
        self._finish()
        return self._store.end + 1

    def _tile(self, tile: int) -> None:
        """One spatial tile."""
        out_words = self.nest.out_words
        self._multiply.weights.restart()
        units = (self._multiply, self._store, *(() if self._resident else (self._load,)))

        def skip(out_word: int, step: int) -> int:
            repeats = out_words - 2 - out_word      # the last one begins the next tile's load
            self._skip(step, repeats, units)
            return repeats

        self._repeat(out_words, lambda o: self._out_word(tile, o), skip,
                     loads=not self._resident)

    def _repeat(self, count: int, run: Callable[[int], None],
                skip: Callable[[int, int], int], *, loads: bool) -> None:
        """Run the pieces 0 .. count - 1, but those that `skip` leaves out."""
        marks: list[_Mark] = []
        index = 0
        while index < count:
            run(index)
            marks = [*marks[-2:], self._mark(loads)]
            step = 0 if self.record else _step(marks, self._jitter)
            if step:
                before = marks[-2].idle
                skipped = skip(index, step)
                if skipped > 0:
                    self._multiply.idle += (self.idle - before) * skipped
                    index, marks = index + skipped, []
            index += 1

    def _mark(self, loads: bool) -> _Mark:
        times = (*self._multiply.times, *self._store.times, *(self._load.times if loads else ()))
        return _Mark(times, self.idle)

    def _skip(self, step: int, repeats: int, units: tuple[MultiplyClock | StoreClock | LoadClock,
                                                          ...]) -> None:
        if repeats > 0:
            for unit in units:
                unit.shift(step * repeats)
            if self._load in units:
                self._left = [t + step * repeats for t in self._left]

    def _out_word(self, tile: int, out_word: int) -> None:
        """One output word of a tile: all its chunks, then its store."""
        nest = self.nest
        last = NEVER
        for chunk, words in enumerate(nest.chunk_words):
            if not self._resident or out_word == 0:
                self._fill(tile, out_word, chunk)
            free = self._store.free[0] if chunk == 0 else NEVER
            last = self._group(tile, out_word, chunk, free, words * nest.word_tiles)
            if not self._resident or out_word == nest.out_words - 1:
                self._left = [self._left[1], last]
        first, stored = self._store.bank(last, nest.pixels[tile])
        self._record("store", tile, out_word, -1, first, stored + 1)

    def _fill(self, tile: int, out_word: int, chunk: int) -> None:
        """Finish the load of a chunk and begin the next, which pushes the last operands out."""
        self._load.finish(self._left[0])
        following = self._following(tile, out_word, chunk)
        if following is None:
            done = self._load.flush()
        else:
            before = self._load.begin(following)
            assert before is not None
            done = before
        self._ready = done.ready
        self._record("load", tile, -1 if self._resident else out_word, chunk, done.first,
                     done.ready)

    def _following(self, tile: int, out_word: int, chunk: int) -> Chunk | None:
        """What is loaded after this chunk."""
        if chunk + 1 < len(self.nest.chunk_words):
            return self.nest.chunk(tile, chunk + 1, moved=False)
        if not self._resident and out_word + 1 < self.nest.out_words:
            return self.nest.chunk(tile, 0, moved=False)
        last = tile + 1 == len(self.nest.pixels)
        return None if last else self.nest.chunk(tile + 1, 0)

    def _group(self, tile: int, out_word: int, chunk: int, free: int, tiles: int) -> int:
        """Multiply a chunk for an output word; returns when its last column was issued."""
        multiply = self._multiply
        begin, stored = multiply.end, self.idle.store
        first, last = multiply.group(self._ready, free, tiles, self.nest.pixels[tile])
        if self._ready > begin:
            starved = self._load.waiting(begin, self._ready)
            multiply.idle += Stalls(load=-starved, memory=starved)
        if self.idle.store > stored:
            starved = min(self.idle.store - stored, self._store.starved[0])
            multiply.idle += Stalls(store=-starved, memory=starved)
        self._record("weight", tile, out_word, chunk, *multiply.weights.arrivals)
        self._record("multiply", tile, out_word, chunk, first, last + 1)
        return last

    def _finish(self) -> None:
        """The array waits until everything is stored and acknowledged."""
        tail = self._store.end + 1 - self._multiply.end
        waiting = self._store.end - self._store.handed - 1 + self._store.starved[1]
        starved = min(waiting, tail)
        # START itself is counted here, too
        self._multiply.idle += Stalls(store=tail + 1 - starved, memory=starved)

    def _record(self, unit: Unit, tile: int, out_word: int, chunk: int, start: int, end: int,
                ) -> None:
        if self.record:
            self.spans.append(Span(unit=unit, tile=tile, out_word=out_word, chunk=chunk,
                                   start=start, end=end))
