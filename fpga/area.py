"""What a design occupies, in total and by unit.

ECP5: as nextpnr packs it. `lut4` counts TRELLIS_COMB: look-up tables, both halves of every carry
cell (with those nextpnr adds to enter and leave a chain), and six per 16 x 4 distributed RAM.
UltraScale+: cells of the netlist, as synthesised; Yosys makes carry chains of 4-bit cells.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hqdm.fpga.devices import Device
from hqdm.fpga.hierarchy import Hierarchy, assign_units, group
from hqdm.fpga.synthesis import Design, Netlist
from hqdm.fpga.tools import NEXTPNR, Tools, tool_version
from hqdm.kit.cache import build_once, content_hash

COLUMNS = {"ecp5": ("lut4", "carry", "ff", "dsp", "bram"),
           "xcup": ("lut6", "carry", "ff", "dsp", "bram")}
UNPLACED = ["--out-of-context", "--lpf-allow-unconstrained"]
# halves count so that the sums are whole: an RAMB18 is half an RAMB36, 32 x 16 bits eight LUTs
_XCUP = (
    (re.compile(r"LUT[1-6]$|SRL16E$|SRLC32E$|INV$"), "lut6", 1.0),
    (re.compile(r"RAM32M16$|RAM64M8$"), "lut6", 8.0), (re.compile(r"RAM\d+[XM]"), "lut6", 4.0),
    (re.compile(r"CARRY[48]$"), "carry", 1.0), (re.compile(r"FD[RSCP]E$"), "ff", 1.0),
    (re.compile(r"DSP48E2$"), "dsp", 1.0), (re.compile(r"RAMB36"), "bram", 1.0),
    (re.compile(r"RAMB18"), "bram", 0.5))
_SUFFIX = re.compile(r"\$(?:CCU2_COMB|DPRAM_COMB|RAMW_BLOCK)\d$|\$RAMW_SLICE$")
Counts = dict[str, float]
Cell = tuple[str, str, Iterable[int]]


def _ecp5_kind(cell: dict[str, Any]) -> Counts:
    kind = cell["type"]
    if kind == "TRELLIS_COMB":
        carry = cell["parameters"].get("MODE") == "CCU2"
        return {"lut4": 1.0, "carry": 0.5} if carry else {"lut4": 1.0}
    names = {"TRELLIS_FF": "ff", "MULT18X18D": "dsp", "DP16KD": "bram"}
    return {names[kind]: 1.0} if kind in names else {}


def _xcup_kind(cell: dict[str, Any]) -> Counts:
    for pattern, column, weight in _XCUP:
        if pattern.match(cell["type"]):
            return {column: weight}
    return {}


def _carry_units(cells: dict[str, Any], units: dict[str, str]) -> dict[str, str]:
    """Units of the carry cells nextpnr added: those of the chain they lead to or come from."""
    at: dict[int, list[str]] = defaultdict(list)
    for name, cell in cells.items():
        for port in ("FCI", "FCO"):
            for bit in cell["connections"].get(port, ()):
                at[bit].append(name)
    found: dict[str, str] = {}
    waiting = [n for n, c in cells.items() if n not in units and c["type"] == "TRELLIS_COMB"]
    for _ in range(4):
        for name in waiting:
            near = (other for port in ("FCI", "FCO")
                    for bit in cells[name]["connections"].get(port, ()) for other in at[bit])
            known = [units.get(other, found.get(other)) for other in near]
            unit = next((u for u in known if u is not None), None)
            if unit is not None:
                found[name] = unit
        waiting = [name for name in waiting if name not in found]
    return found


def count(cells: Iterable[tuple[str, Counts]], columns: Iterable[str]) -> dict[str, Any]:
    """Totals of (row, counts) pairs, with `units`: the rows, largest first."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for row, counts in cells:
        rows[row].update(counts)
    columns = tuple(columns)
    units = {row: {c: round(rows[row][c]) for c in columns} for row in rows
             if any(rows[row].values())}
    units = dict(sorted(units.items(), key=lambda item: (-item[1][columns[0]], item[0])))
    totals = {c: round(sum(row[c] for row in rows.values())) for c in columns}
    return totals | {"units": units}


def packed_area(design: Design, netlist: Netlist, device: Device, tools: Tools,
                cache: Path | None = None) -> dict[str, Any]:
    """Area on an ECP5 `device` after packing, whether or not it has so much."""
    arguments = [device.flag, "--package", device.package, *UNPLACED]
    key = content_hash(netlist.sha256, *arguments, tool_version(NEXTPNR), "area 2")

    def make(folder: Path) -> None:
        (folder / "netlist.json").write_bytes(netlist.text)
        tools.run(NEXTPNR, [*arguments, "--json", "netlist.json", "--pack-only",
                            "--write", "packed.json"], folder)
        modules = json.loads((folder / "packed.json").read_bytes())["modules"]
        cells = next(iter(modules.values()))["cells"]
        owner = assign_units(netlist.module(), Hierarchy(design.verilog, design.top))
        units = {n: owner[base] for n in cells if (base := _SUFFIX.sub("", n)) in owner}
        units |= _carry_units(cells, units)
        area = count(((group(units.get(name, "")), _ecp5_kind(cell))
                      for name, cell in cells.items()), COLUMNS["ecp5"])
        for file in ("netlist.json", "packed.json"):
            (folder / file).unlink()
        (folder / "area.json").write_text(json.dumps(area))

    folder = build_once(f"area-{design.name}-{device.name}-{key}", make, cache)
    area: dict[str, Any] = json.loads((folder / "area.json").read_bytes())
    return area


def netlist_area(design: Design, netlist: Netlist) -> dict[str, Any]:
    """Area on UltraScale+: counts of the netlist."""
    module = netlist.module()
    owner = assign_units(module, Hierarchy(design.verilog, design.top))
    return count(((group(owner[name]), _xcup_kind(cell))
                  for name, cell in module["cells"].items()), COLUMNS["xcup"])
