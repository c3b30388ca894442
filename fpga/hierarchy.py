"""The unit a cell of a flattened netlist belongs to.

Synthesis flattens the design, so that logic is shared and moved across unit borders; what is left
are names and source lines. Flip-flops, carry cells and multipliers keep the line they come from,
and so the module; memories their name. A look-up table comes from the logic optimiser: it
belongs to the unit that drives its output net; if that net has no name left, to the unit it is
named after (a cell it is connected to); failing that to most of the cells that read it.
"""

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

CORE = "core"
_MODULE = re.compile(r"^module \\?(\S+?) ?\(", re.M)
_INPUT = re.compile(r"^  input (?:wire )?(?:signed )?(?:\[[^\]]*\] )?\\?(\S+) ?;", re.M)
_ROOT = re.compile(r"^(.+?)_(?:LUT\d|CCU2C|PFUMX|L6MUX21|TRELLIS_|MULT18X18D|DP16KD|CARRY|MUXF\d|"
                   r"FD[RSCP]E|DSP48|RAMB|RAM\d|INV)")
_MEMORY = re.compile(r"DP16KD|TRELLIS_DPR|RAM")
_LINE = re.compile(r"^design\.v:(\d+)")


@dataclass
class Hierarchy:
    """Modules of Verilog text whose module names are paths, as Amaranth writes them."""

    verilog: str
    top: str
    units: list[str] = field(init=False)
    inputs: dict[str, set[str]] = field(init=False)
    _lines: list[int] = field(init=False)

    def __post_init__(self) -> None:
        starts = list(_MODULE.finditer(self.verilog))
        names = [match.group(1) for match in starts]
        self.units = [n.removeprefix(self.top).removeprefix(".") for n in names]
        ends = [match.start() for match in starts[1:]] + [len(self.verilog)]
        self.inputs = {
            unit: set(_INPUT.findall(self.verilog, match.start(), end))
            for unit, match, end in zip(self.units, starts, ends, strict=True)}
        self._lines, line, position = [], 1, 0
        for match in starts:
            line += self.verilog.count("\n", position, match.start())
            position = match.start()
            self._lines.append(line)

    def by_line(self, source: str) -> str | None:
        """Unit of the first line of a `src` attribute that is in the design."""
        for place in source.split("|"):
            match = _LINE.match(place)
            if match:
                index = bisect_right(self._lines, int(match.group(1))) - 1
                return self.units[index] if index >= 0 else None
        return None

    def split(self, name: str) -> tuple[str, str]:
        """(unit, signal) of a hierarchical name: the longest unit that it begins with."""
        unit = name
        while "." in unit:
            unit = unit.rpartition(".")[0]
            if unit in self.inputs:
                return unit, name[len(unit) + 1:]
        return "", name


def _depth(unit: str) -> tuple[int, str]:
    return unit.count(".") + bool(unit), unit


def drivers(module: dict[str, Any], hierarchy: Hierarchy) -> dict[int, str]:
    """Bit -> unit that drives it: the deepest that has a name for it, and no input with it.

    Names that Yosys made up from those of cells do not count.
    """
    inputs: set[tuple[str, int]] = set()
    others: set[tuple[str, int]] = set()
    for name, net in module["netnames"].items():
        if not net.get("hide_name") and not _ROOT.match(name):
            unit, signal = hierarchy.split(name)
            named = inputs if signal in hierarchy.inputs.get(unit, ()) else others
            named.update((unit, bit) for bit in net["bits"] if isinstance(bit, int))
    found: dict[int, str] = {}
    for unit, bit in others - inputs:
        found[bit] = max(found.get(bit, ""), unit, key=_depth)
    return found


def _bits(cell: dict[str, Any], direction: str) -> Iterable[int]:
    for port, bits in cell["connections"].items():
        if cell["port_directions"].get(port) == direction:
            yield from (bit for bit in bits if isinstance(bit, int))


def _by_name(name: str, cell: dict[str, Any], driver: dict[int, str],
             hierarchy: Hierarchy) -> str | None:
    if _MEMORY.match(cell["type"]) and "." in name:
        return hierarchy.split(name)[0]
    for bit in _bits(cell, "output"):
        if bit in driver:
            return driver[bit]
    root = _ROOT.match(name)
    if root and "." in root.group(1):
        return hierarchy.split(root.group(1))[0]
    return None


def assign_units(module: dict[str, Any], hierarchy: Hierarchy) -> dict[str, str]:
    """Cell -> unit, "" for the top module."""
    driver = drivers(module, hierarchy)
    readers: dict[int, list[str]] = defaultdict(list)
    units: dict[str, str] = {}
    for name, cell in module["cells"].items():
        for bit in _bits(cell, "input"):
            readers[bit].append(name)
        unit = hierarchy.by_line(cell["attributes"].get("src", ""))
        if unit is None:
            unit = _by_name(name, cell, driver, hierarchy)
        if unit is not None:
            units[name] = unit
    left = [name for name in module["cells"] if name not in units]
    for _ in range(8):      # a chain of nameless cells is rarely longer
        for name in left:
            votes = Counter(units[r] for bit in _bits(module["cells"][name], "output")
                            for r in readers[bit] if r in units)
            if votes:
                units[name] = votes.most_common(1)[0][0]
        left = [name for name in left if name not in units]
    return units | dict.fromkeys(left, "")


def group(unit: str, depth: int = 2) -> str:
    """The row of a report that `unit` is counted in."""
    return ".".join(re.sub(r"\$\d+", "", unit).split(".")[:depth]) or CORE
