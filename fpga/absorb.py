"""Flip-flops behind multipliers and memories into the registers these have of their own (ECP5).

Yosys leaves the output registers of MULT18X18D and DP16KD unused. A flip-flop without reset that
alone takes an output bit does what such a register does, where the output is. All outputs of a
cell have the same clock and enable.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

Cell = dict[str, Any]
Found = dict[int, tuple[str, int]]      # bit -> (flip-flop, bit of its output)
Control = tuple[int | str, int | str]   # clock, enable
VERSION = "1"       # part of the cache key of a netlist


def _plain(cell: Cell) -> bool:
    """Has no reset, works at the rising edge and starts as 0."""
    parameters, nets = cell["parameters"], cell["connections"]
    return (cell["type"] == "TRELLIS_FF" and parameters.get("CEMUX", "1").strip() in ("1", "CE")
            and parameters.get("CLKMUX", "CLK") == "CLK" and parameters["REGSET"] == "RESET"
            and nets.get("LSR", ["0"]) in (["0"], []))


def _control(cell: Cell) -> Control:
    """Clock and enable of a flip-flop."""
    nets = cell["connections"]
    enabled = cell["parameters"].get("CEMUX", "1").strip() == "CE"
    return nets["CLK"][0], nets["CE"][0] if enabled else "1"


class _Netlist:
    """Who reads each bit of a module."""

    def __init__(self, module: dict[str, Any]) -> None:
        self.cells: dict[str, Cell] = module["cells"]
        self.readers: Counter[int] = Counter()
        self.behind: dict[int, list[str]] = defaultdict(list)
        for port in module["ports"].values():
            if port["direction"] != "input":
                self.readers.update(port["bits"])
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                if cell["port_directions"].get(port) == "output":
                    continue
                self.readers.update(bits)
                if port == "DI" and _plain(cell):
                    self.behind[bits[0]].append(name)

    def registers(self, bits: Iterable[int]) -> tuple[Found, Control] | None:
        """The flip-flop of each bit that is read, and their control.

        None unless each has exactly one and no other reader, and all have the same control.
        """
        found: Found = {}
        controls = set()
        for bit in bits:
            if not self.readers[bit]:
                continue
            names = self.behind.get(bit, [])
            if self.readers[bit] != 1 or len(names) != 1:
                return None
            flip_flop = self.cells[names[0]]
            controls.add(_control(flip_flop))
            found[bit] = names[0], flip_flop["connections"]["Q"][0]
        return (found, controls.pop()) if len(controls) == 1 else None

    def take(self, cell: Cell, found: Found) -> None:
        """Let `cell` drive what the flip-flops drove."""
        for port, bits in cell["connections"].items():
            if cell["port_directions"].get(port) == "output":
                cell["connections"][port] = [
                    found[bit][1] if bit in found else bit for bit in bits]
        for name, _ in found.values():
            del self.cells[name]


def _outputs(cell: Cell, *prefixes: str) -> Iterator[int]:
    for port, bits in cell["connections"].items():
        if cell["port_directions"].get(port) == "output" and port.startswith(prefixes):
            yield from (bit for bit in bits if isinstance(bit, int))


def _connect(cell: Cell, **nets: int | str) -> None:
    for port, net in nets.items():
        cell["connections"][port] = [net]
        cell["port_directions"][port] = "input"


def _multiplier(netlist: _Netlist, cell: Cell) -> int:
    taken = netlist.registers(_outputs(cell, "P"))
    if taken is None or "REG_OUTPUT_CLK" in cell["parameters"]:
        return 0
    found, (clock, enable) = taken
    netlist.take(cell, found)
    cell["parameters"] |= {"REG_OUTPUT_CLK": "CLK0", "REG_OUTPUT_CE": "CE0",
                           "REG_OUTPUT_RST": "RST0"}
    _connect(cell, CLK0=clock, CE0=enable, RST0="0")
    return len(found)


def _memory(netlist: _Netlist, cell: Cell) -> int:
    """Both ports together: the wide reads take the outputs of both."""
    nets, parameters = cell["connections"], cell["parameters"]
    taken = netlist.registers(_outputs(cell, "DO"))
    if taken is None or nets["RSTA"] != ["0"] or nets["RSTB"] != ["0"]:
        return 0
    found, (clock, enable) = taken
    if nets["CLKA"] != [clock] or nets["CLKB"] != [clock]:
        return 0
    if {parameters["REGMODE_A"], parameters["REGMODE_B"]} != {"NOREG"}:
        return 0
    netlist.take(cell, found)
    parameters |= {"REGMODE_A": "OUTREG", "REGMODE_B": "OUTREG"}
    _connect(cell, OCEA=enable, OCEB=enable)
    return len(found)


def absorb(module: dict[str, Any]) -> dict[str, int]:
    """Changes `module`, a flat Yosys netlist for ECP5; flip-flops absorbed by kind of cell."""
    netlist = _Netlist(module)
    kinds = {"MULT18X18D": _multiplier, "DP16KD": _memory}
    counts = dict.fromkeys(kinds, 0)
    for cell in list(netlist.cells.values()):
        if cell["type"] in kinds:
            counts[cell["type"]] += kinds[cell["type"]](netlist, cell)
    return counts
