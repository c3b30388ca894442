"""What the cycle model is asked and what it answers."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from hqdm.spec.config import Config
from hqdm.spec.layer import Layer
from hqdm.spec.loop_nest import TilePlan
from hqdm.spec.stalls import Stalls

Unit = Literal["load", "weight", "multiply", "store"]
UNITS: tuple[Unit, ...] = ("load", "weight", "multiply", "store")
MOST_LATENCY = 1_000_000
LARGEST = 1_000_000     # bytes per cycle, and one in so many cycles
PORTS = ("load", "weight", "store_read", "store_write")


@dataclass(frozen=True, kw_only=True)
class MemoryTiming:
    """The memory behind the ports, as `hqdm.sim.runtime.device.MemoryModel` has it.

    Parameters
    ----------
    latency: cycles from an address to its first beat, and from the last beat written to its answer.
    bandwidth: bytes per cycle all ports share; None is one beat per cycle on each port.

    Raises
    ------
    ValueError: a parameter outside its range.
    """

    latency: int = 40
    bandwidth: Fraction | int | None = None

    def __post_init__(self) -> None:
        if self.latency < 1:
            raise ValueError(f"memory latency: wanted at least 1 cycle, got {self.latency}")
        if self.latency > MOST_LATENCY:
            raise ValueError(f"memory latency: wanted at most {MOST_LATENCY:,} cycles, got "
                             f"{self.latency:,}")
        if self.bandwidth is not None and self.bandwidth <= 0:
            raise ValueError(f"memory bandwidth: wanted more than 0 bytes per cycle, got "
                             f"{self.bandwidth}")
        if self.bandwidth is not None and not 1 / LARGEST <= self.bandwidth <= LARGEST:
            raise ValueError(f"memory bandwidth: wanted 1/{LARGEST}..{LARGEST} bytes per cycle, "
                             f"got {float(self.bandwidth):g}")

    def interval(self, config: Config) -> float:
        """Cycles between two beats of a port that has the memory for itself."""
        if self.bandwidth is None or self.bandwidth >= config.bus_bytes:
            return 1
        return config.bus_bytes / float(self.bandwidth)


@dataclass(frozen=True, kw_only=True)
class Span:
    """One unit at work on one piece of the loop nest, in cycles after the start of the layer.

    Members
    -------
    unit: who works.
    tile, out_word, chunk: on what; out_word is -1 for a load that serves all of them, chunk is -1
        for a store.
    start, end: first cycle, and the one after the last.
    """

    unit: Unit
    tile: int
    out_word: int
    chunk: int
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Cycles of one run of a layer.

    Members
    -------
    layer, config, tiles, memory: what was estimated.
    cycles: from START to the end of the layer, the counter of that name.
    busy: cycles in which the array takes a column of operands.
    stalls: the other cycles by cause, as the counters wait_* and setup count them. busy and the
        stalls add up to cycles.
    beats: of the bus, by port, see PORTS.
    timeline: spans in order of their starts; empty unless asked for.
    """

    layer: Layer
    config: Config
    tiles: TilePlan
    memory: MemoryTiming
    cycles: int
    busy: int
    stalls: Stalls
    beats: dict[str, int]
    timeline: tuple[Span, ...] = ()

    @property
    def dram_bytes(self) -> dict[str, int]:
        """Bytes moved over the bus, by port; store_read has the descriptor too."""
        return {port: count * self.config.bus_bytes for port, count in self.beats.items()}

    @property
    def macs(self) -> int:
        return self.layer.macs

    @property
    def ideal_cycles(self) -> float:
        """Cycles if every cell of the array worked in every cycle."""
        return self.layer.macs / self.config.n ** 2

    @property
    def utilization(self) -> float:
        """ideal_cycles / cycles."""
        return self.ideal_cycles / self.cycles
