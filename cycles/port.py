"""A read port: the AXI reader, its FIFO and the memory behind it, beat by beat."""

from math import ceil, inf, lcm

from hqdm.cycles.timing import BEAT, GAP, ISSUE, NEVER, ROOM, SPLIT
from hqdm.spec.config import BURST_BEATS


def bursts(address: int, beats: int) -> list[int]:
    """Lengths of the bursts of a linear read of `beats` at `address`, both in beats."""
    lengths = []
    while beats:
        lengths.append(min(beats, BURST_BEATS - address % BURST_BEATS))
        address, beats = address + lengths[-1], beats - lengths[-1]
    return lengths


class ReadPort:
    """When beats arrive and leave: bursts in order, as many beats claimed as the FIFO holds.

    issue[b] = max(issue[b-1] + gap, earliest, taken[last beat of b - depth] + ROOM,
                   last beat of b - outstanding + 2)
    arrived[b] = max(issue[b] + 1 + latency, arrived[b-1] + interval)

    Parameters
    ----------
    latency: of the memory. interval: cycles between two beats, readable. depth: beats of the FIFO.
    outstanding: bursts on their way at most. gap: cycles from a burst to the next one.

    Members
    -------
    arrived: when each beat is at the unit. taken: when the unit took it; both end with the latest
        beat and begin anywhere. issued: when the latest burst was issued. before: when the one
        before it was; the latest was cut off its request then, or SPLIT after that was accepted.
    fluent: whether beats come one per `interval` to a unit that takes them at once.
    jitter: by how much equal numbers of beats may differ in time, by rounding.
    """

    def __init__(self, latency: int, interval: float, depth: int, outstanding: int,
                 gap: int = GAP) -> None:
        self._latency, self.interval, self._depth = latency, interval, depth
        self._outstanding, self._gap = outstanding, gap
        self._answered = [float(NEVER)] * outstanding   # last beats of the bursts, on the bus
        self.jitter = int(interval != 1)
        # the FIFO holds enough to hide the latency, whatever the bursts
        trip = ROOM + ISSUE + latency + BEAT
        self.fluent = (depth - BURST_BEATS) * interval >= trip - 1
        self.arrived: list[int] = [NEVER] * (depth + 1)
        self.taken: list[int] = [NEVER] * (depth + 1)
        self.issued = self.before = NEVER
        self._last = float(NEVER)

    def period(self, beats: int) -> int:
        """Reads of `beats` beats after which their place in the FIFO and in bursts repeats."""
        return lcm(self._depth, beats) // beats

    def slack(self, beats: int, step: int, span: int) -> float:
        """How much faster than one read of `beats` beats every `step` cycles memory could be.

        `span` is how long the unit takes over the beats of one read.
        """
        if step < beats * self.interval:
            return 0
        window = max(1, min(self._depth // beats, self._outstanding))
        return step * window / (ROOM + ISSUE + self._latency + BEAT + span)

    def filling(self, mean: float) -> float:
        """Cycles until the FIFO is full in spite of a unit that takes a beat in each.

        `mean`: beats of a burst. Bursts that are hardly longer than the cycles between them fill
        it slowly or never.
        """
        gain = mean / self._gap - 1 / self.interval
        return self._depth / gain if gain > 0 else inf

    def burst(self, beats: int, earliest: int) -> None:
        """Issue a burst, in the cycle `earliest` or later."""
        # the innermost step of the model: comparisons take half the time of calls of max
        arrived = self.arrived
        self.before = self.issued
        issued = self.issued + self._gap
        if earliest > issued:
            issued = earliest
        room = self.taken[len(arrived) + beats - self._depth - 1] + ROOM
        if room > issued:
            issued = room
        answered = int(self._answered[-self._outstanding]) + 2
        if answered > issued:
            issued = answered
        self.issued = issued
        first: float = issued + ISSUE + self._latency
        if self._last + self.interval > first:
            first = self._last + self.interval
        if self.interval == 1:
            begin = int(first) + BEAT
            arrived.extend(range(begin, begin + beats))
        else:
            arrived += [ceil(first + k * self.interval) + BEAT for k in range(beats)]
        self._last = first + (beats - 1) * self.interval
        self._answered.append(self._last)

    def take(self, count: int, earliest: int) -> None:
        """The unit takes `count` of the beats that have been issued, one per cycle."""
        taken, arrived = self.taken, self.arrived
        k, now = len(taken), taken[-1] + 1
        if earliest > now:
            now = earliest
        if self.interval != 1:
            for beat in arrived[k:k + count]:
                now = max(now, beat)
                taken.append(now)
                now += 1
            return
        while count:
            beat = arrived[k]
            if beat > now:
                now = beat
            run = count
            if arrived[k + count - 1] - beat != count - 1:
                run = 1
            taken.extend(range(now, now + run))
            now, k, count = now + run, k + run, count - run

    def flow(self, count: int, request: int, burst: int, previous: int) -> int:
        """The unit takes `count` beats, more than two FIFOs, as they come: the port is `fluent`.

        Parameters
        ----------
        request, burst, previous: beats of the last request, of its last burst, and of the last
            burst before it.

        Returns
        -------
        When the last request was accepted: SPLIT after `previous` was cut off.
        """
        interval, depth = self.interval, self._depth
        last = self.taken[-1] + count
        if interval > 1:
            claimed = self.taken[len(self.arrived) + BURST_BEATS - depth - 1]
            issued = max(self.issued + self._gap, claimed + ROOM)
            first = max(issued + ISSUE + self._latency, self._last + interval)
            more = count - (len(self.arrived) - len(self.taken))
            last = max(last, ceil(first + (more - 1) * interval) + BEAT)
        self.taken = [last - int(k * interval) for k in range(depth, -1, -1)]
        self.arrived = self.taken.copy()
        self.issued = self.taken[0] + ROOM
        self._last = max(self.issued + ISSUE + self._latency + (burst - 1) * interval,
                         last - BEAT if interval > 1 else NEVER)
        self._answered = [float(NEVER)] * self._outstanding
        self.before = self.issued - int(burst * interval)
        return self.issued - int((request + previous) * interval) + SPLIT

    def shift(self, cycles: int) -> None:
        """Let everything have happened `cycles` later; forget what no longer matters."""
        pending = len(self.arrived) - len(self.taken)
        keep = self._depth + 1
        self.taken = [t + cycles for t in self.taken[-keep:]]
        self.arrived = [t + cycles for t in self.arrived[-keep - pending:]]
        self.issued += cycles
        self.before += cycles
        self._last += cycles
        self._answered = [t + cycles for t in self._answered[-self._outstanding:]]
