"""Every property, how it is checked, and the run of it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

from formal.btor import System, compile_harness
from formal.defects import defects as all_defects
from formal.engine import Verdict, bounded
from formal.harness import Harness
from formal.properties import arithmetic, bus, cells, layers, queues, store, tokens, weights
from formal.reach import Reach


@dataclass(frozen=True)
class Property:
    """A named check.

    build: writes the property into a harness. long: left out of the short run.
    cycles: of a bounded check; 0 is an exhaustive search of the reachable states.
    states: the search may visit; defect_states: likewise, before a defect counts as not seen.
    defects: so many are tried, evenly spread over the registers.
    """

    name: str
    build: Callable[[Harness], None]
    long: bool = False
    cycles: int = 0
    states: int = 1_000_000
    defect_states: int = 20_000
    defects: int = 100

    @property
    def statement(self) -> str:
        return (self.build.__doc__ or "").strip().splitlines()[0]

    def compile(self) -> System:
        harness = Harness()
        self.build(harness)
        return compile_harness(harness)

    def check(self, system: System) -> Verdict:
        if self.cycles:
            return bounded(system, self.cycles)
        return Reach(system).run(limit=self.states)

    def broken(self, system: System) -> list[System]:
        """The unit with one defect each."""
        every = [broken for _, broken in all_defects(system)]
        return every[::-(-len(every) // self.defects) or 1]

    def sees(self, broken: System) -> bool:
        """Whether the check of a system with a defect fails."""
        if self.cycles:
            return not bounded(broken, self.cycles).holds
        try:
            return not Reach(broken).run(limit=self.defect_states).holds
        except RuntimeError:
            return False


CELL_STATES = 2_000_000     # 2^18 operands and weights, in each of the stages
PIPELINE = 16       # cycles: longer than any of the pipelines

PROPERTIES = (
    Property("bus.reader", bus.reader, long=True),
    Property("bus.reader_bursts", bus.reader_bursts),
    Property("bus.writer_addresses", bus.writer_addresses),
    Property("bus.writer_data", bus.writer_data),
    Property("bus.writer_abort", bus.writer_abort),
    Property("bus.registers", bus.registers),
    Property("bus.credit_queue", queues.credit_queue),
    Property("bus.burst_log", queues.burst_log),
    Property("load.chunks", queues.chunks),
    Property("load.requests", queues.load_requests),
    Property("store.parameter_sets", store.parameter_sets),
    Property("store.second_operand", store.second_operand),
    Property("store.reads", store.store_reads),
    Property("multiply.unpack", weights.unpack),
    Property("multiply.loader", weights.loader),
    Property("tokens.operand_buffer", tokens.operand_buffer),
    Property("tokens.accumulator", tokens.accumulator),
    Property("layer.one_word", layers.one_word, defects=40, defect_states=50_000),
    Property("layer.three_words", layers.three_words, long=True, states=5_000_000,
             defects=12, defect_states=500_000),     # up to a minute each
    Property("cell.packed", cells.packed, states=CELL_STATES, defect_states=CELL_STATES),
    Property("cell.booth", cells.booth, states=CELL_STATES, defect_states=CELL_STATES),
    Property("cell.pair_sum", cells.pair_sum, long=True, cycles=5),
    Property("cell.packed_sum", cells.packed_sum, long=True, cycles=5),
    Property("arithmetic.rounding", arithmetic.rounding, cycles=1),
    Property("arithmetic.scale", arithmetic.scale, cycles=PIPELINE),
    Property("arithmetic.step_scale", arithmetic.step_scale, cycles=PIPELINE),
    Property("arithmetic.row_scale", arithmetic.row_scale, cycles=PIPELINE),
    Property("arithmetic.align", arithmetic.align, cycles=PIPELINE),
    Property("arithmetic.add", arithmetic.add, cycles=PIPELINE),
    Property("arithmetic.quantiser", arithmetic.quantiser, cycles=PIPELINE),
)


def find(name: str) -> Property:
    for item in PROPERTIES:
        if item.name == name:
            return item
    raise ValueError(f"property: wanted one of {', '.join(p.name for p in PROPERTIES)}, "
                     f"got {name!r}")


def run(names: list[str], *, long: bool, defects: bool, jobs: int = 1,
        ) -> Iterator[tuple[bool, str]]:
    """(good, line of the report) of the named properties, or of all; `jobs` at a time."""
    names = ([find(name).name for name in names]
             or [item.name for item in PROPERTIES if long or not item.long])
    report = partial(_report, defects=defects)
    if jobs == 1:
        yield from map(report, names)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        yield from pool.map(report, names)


def _report(name: str, *, defects: bool) -> tuple[bool, str]:
    item, start = find(name), time.monotonic()
    system = item.compile()
    verdict = item.check(system)
    good, line = verdict.holds, f"{name:24} {verdict}"
    if defects:
        broken = item.broken(system)
        seen = sum(item.sees(one) for one in broken)
        good &= bool(seen or not broken)
        line += f"; {seen} of {len(broken)} defects seen" if broken else "; no register to break"
    return good, f"{line}; {time.monotonic() - start:.1f} s"
