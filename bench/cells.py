"""Area of a processing element by kind, on ECP5: `python -m bench.cells [--json FILE]`.

Synthesises and packs one row of the n8 array, the last one, whose sums are the widest: eight
elements, each with two weights, operand and product registers and its partial sum, and divides by
eight. `lut4` is what nextpnr occupies, carry cells and those that enter and leave a chain included.
Kinds without multipliers are built with `synth_ecp5 -nodsp`.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.command import write_json
from hqdm.fpga.area import packed_area
from hqdm.fpga.devices import device_by_name
from hqdm.fpga.synthesis import Design, synthesise
from hqdm.fpga.tools import Tools
from hqdm.rtl.generate import to_verilog
from hqdm.rtl.multiply.array import ArrayRow
from hqdm.spec.config import PRESETS

CONFIG, DEVICE = PRESETS["n8"], "ecp5-85k"
# label -> (kind of cell, multipliers may be used)
KINDS = {"packed": ("packed", True), "multiply": ("multiply", True), "booth": ("booth", False),
         "* of LUTs": ("multiply", False)}
COLUMNS = ("lut4", "carry", "dsp")
Figures = dict[str, float]


def measure(kind: str, use_dsp: bool, cache: Path | None = None) -> Figures:
    """Cells per processing element of the array's last row."""
    config = replace(CONFIG, cell=kind)
    design = Design(f"row-{kind}", to_verilog(ArrayRow(config, config.n - 1), "row"), "row")
    device, tools = device_by_name(DEVICE), Tools()
    netlist = synthesise(design, device, tools, use_dsp=use_dsp, cache=cache)
    area = packed_area(design, netlist, device, tools, cache)
    return {name: area[name] / config.n for name in COLUMNS}


def ratios(found: dict[str, Figures]) -> dict[str, float]:
    """Booth over `*`, both without multipliers, and cells per multiplier."""
    booth, product = found["booth"], found["* of LUTs"]
    return {"booth_over_product": booth["lut4"] / product["lut4"],
            "packed_cells_per_dsp": 1 / found["packed"]["dsp"]}


def table(found: dict[str, Figures]) -> str:
    lines = ["| element | " + " | ".join(COLUMNS) + " |", "|---|" + "--:|" * len(COLUMNS)]
    lines += [f"| {label} | " + " | ".join(f"{row[name]:.1f}" for name in COLUMNS) + " |"
              for label, row in found.items()]
    shares = ratios(found)
    summary = (f"Booth over * of LUTs: {shares['booth_over_product']:.2f}; "
               f"elements per multiplier, packed: {shares['packed_cells_per_dsp']:.0f}")
    return "\n".join([*lines, "", summary])


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(arguments)
    found = {label: measure(*kind) for label, kind in KINDS.items()}
    print(table(found))
    result = {"device": DEVICE, "per_element": found} | ratios(found)
    write_json(options.json, result)
    return result


if __name__ == "__main__":
    main()
