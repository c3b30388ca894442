"""Where the cycles of a layer go: the array is busy, or waits for one of five causes.

Made from the counters of the device (`hqdm.spec.registers.COUNTERS`) and by the cycle model.
"""

from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Stalls:
    """Cycles in which the array takes no operands, by what it waits for.

    Stalls are added, subtracted, and multiplied by how often a layer runs.

    Members
    -------
    load, weight, store: operands, a weight tile, a free bank of sums (or the end of the store).
    memory: one of these three, while its unit itself waits for a bus.
    setup: descriptor, step table and pipeline latency.
    """

    load: int = 0
    weight: int = 0
    store: int = 0
    memory: int = 0
    setup: int = 0

    @classmethod
    def counted(cls, counters: Mapping[str, int]) -> "Stalls":
        """What the performance counters of the device, by name, say."""
        return cls(**{cause: counters[name] for cause, name in STALL_COUNTERS.items()})

    @property
    def by_cause(self) -> dict[str, int]:
        """The cycles by the names in `CAUSES`, as commands print them."""
        return asdict(self)

    @property
    def total(self) -> int:
        return sum(astuple(self))

    def __add__(self, other: "Stalls") -> "Stalls":
        return Stalls(load=self.load + other.load, weight=self.weight + other.weight,
                      store=self.store + other.store, memory=self.memory + other.memory,
                      setup=self.setup + other.setup)

    def __mul__(self, times: int) -> "Stalls":
        return Stalls(load=times * self.load, weight=times * self.weight,
                      store=times * self.store, memory=times * self.memory,
                      setup=times * self.setup)

    def __sub__(self, other: "Stalls") -> "Stalls":
        return self + other * -1


CAUSES = tuple(f.name for f in fields(Stalls))
STALL_COUNTERS = {cause: cause if cause == "setup" else f"wait_{cause}" for cause in CAUSES}


@dataclass(frozen=True, kw_only=True)
class Spent:
    """The cycles of one run of a layer, or of many added up.

    Members
    -------
    cycles: from START to the end of the layer.
    busy: those in which the array takes a column of operands. stalls: the others.
    """

    cycles: int = 0
    busy: int = 0
    stalls: Stalls = Stalls()

    @classmethod
    def counted(cls, counters: Mapping[str, int]) -> "Spent":
        """What the performance counters of the device, by name, say."""
        return cls(cycles=counters["cycles"], busy=counters["busy"],
                   stalls=Stalls.counted(counters))

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(cycles=self.cycles + other.cycles, busy=self.busy + other.busy,
                     stalls=self.stalls + other.stalls)
