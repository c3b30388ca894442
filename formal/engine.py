"""Bounded model checking."""

from dataclasses import dataclass
from functools import reduce

from bitwuzla import Term

from formal.btor import System
from formal.frames import Frames


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    holds: no assertion fails. proved: for ever, not only within the bound.
    cycles: the bound, or the cycle of the failure. trace: inputs and states up to it.
    states: visited, if they were.
    """

    holds: bool
    cycles: int
    proved: bool = False
    failed: str = ""
    trace: tuple[dict[str, int], ...] = ()
    states: int = 0

    def __str__(self) -> str:
        if not self.holds:
            return f"{self.failed} fails in cycle {self.cycles}"
        found = "proved" if self.proved else f"holds for {self.cycles} cycles"
        return f"{found} ({self.states} states)" if self.states else found


def bounded(system: System, cycles: int) -> Verdict:
    """Whether an assertion can fail in the first `cycles` cycles after reset."""
    frames = Frames(system)
    for cycle in range(cycles):
        frames.extend()
        failed = _failing(system, frames, cycle)
        if failed:
            return Verdict(False, cycle, failed=failed, trace=tuple(frames.values()))
    return Verdict(True, cycles)


def _any(system: System, frames: Frames, cycle: int) -> Term:
    """Some assertion fails in `cycle`."""
    terms = [frames.never(frames.holds(node, cycle)) for node in system.asserts.values()]
    return reduce(lambda a, b: frames.either(a, b), terms)


def _failing(system: System, frames: Frames, cycle: int) -> str:
    """Name of an assertion that fails in `cycle`, or nothing."""
    if not frames.possible(_any(system, frames, cycle)):
        frames.require(frames.never(_any(system, frames, cycle)))
        return ""
    for name, node in system.asserts.items():
        if frames.possible(frames.never(frames.holds(node, cycle))):
            return name
    raise AssertionError("bounded: wanted the assertion that fails, found none")
