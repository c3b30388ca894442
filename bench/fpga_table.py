"""The table of docs/fpga.md: `python -m bench.fpga_table [report.json ...]`.

Takes reports of `hqdm fpga -o FOLDER` into docs/fpga.json, one per configuration and device, and
writes the table between the markers of docs/fpga.md. Without reports it only writes the table.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.command import one_line_errors
from hqdm.fpga.devices import ROUTERS
from hqdm.kit.files import write_atomically

DOCS = Path(__file__).parent.parent / "docs"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"
KEPT = ("config", "device", "flow", "speed", "use_dsp", "fits", "lut4", "lut6", "carry", "ff",
        "dsp", "bram", "fmax_mhz_median", "fmax_mhz_best", "fmax_mhz", "hadamard_and_array",
        "router", "verilog_sha256", "yosys", "nextpnr", "available")
COLUMNS = ("config", "device", "LUT", "carry", "FF", "DSP", "block RAM", "MHz median (best)",
           "seeds", "Hadamard: LUT", "array: LUT + DSP", "Verilog")
Results = dict[str, dict[str, Any]]


def key(result: dict[str, Any]) -> str:
    """What a result is filed under."""
    return f"{result['config']} {result['device']}{'' if result['use_dsp'] else ' without DSP'}"


def count(result: dict[str, Any], name: str) -> str:
    """A count, and its share of the device if that is known."""
    available = result.get("available", {}).get(name)
    share = f" ({result[name] / available:.0%})" if available else ""
    return f"{result[name]:,}{share}"


def row(result: dict[str, Any]) -> list[str]:
    """One line of the table."""
    lut = "lut4" if "lut4" in result else "lut6"
    clock, seeds = "synthesis only", "-"
    if "lut4" in result:
        clock = "packed only" if result["fits"] else "does not fit"
    if result["fmax_mhz_median"] is not None:
        clock = f"{result['fmax_mhz_median']:.1f} ({result['fmax_mhz_best']:.1f})"
        router = result.get("router", ROUTERS[0])
        seeds = f"{len(result['fmax_mhz'])}{f' ({router})' if router != ROUTERS[0] else ''}"
    share = result["hadamard_and_array"]
    hadamard = f"{share['hadamard'][lut]:,}" if share else "-"
    array = f"{share['array'][lut]:,} + {share['array']['dsp']:,}" if share else "-"
    return [result["config"], key(result).split(" ", 1)[1], count(result, lut),
            f"{result['carry']:,}", *(count(result, c) for c in ("ff", "dsp", "bram")), clock,
            seeds, hadamard, array, result["verilog_sha256"][:8]]


def table(results: Results) -> str:
    """The Markdown table; the last column names the Verilog by its digest."""
    lines = [COLUMNS, ["---", "---", *["--:"] * (len(COLUMNS) - 2)],
             *(row(results[name]) for name in sorted(results))]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def merge(results: Results, reports: Iterable[dict[str, Any]]) -> Results:
    """`results` with those of `reports` in their place.

    Raises
    ------
    ValueError: a report is none of `hqdm fpga`.
    """
    merged = dict(results)
    for report in reports:
        if not isinstance(report, dict) or not {"config", "device", "units"} <= set(report):
            raise ValueError("report: wanted one of hqdm fpga -o, got something else")
        merged[key(report)] = {name: report[name] for name in KEPT if name in report}
    return merged


def replace(page: str, text: str) -> str:
    """`page` with `text` between the markers."""
    if BEGIN not in page or END not in page:
        raise ValueError(f"page: wanted the markers {BEGIN.strip()} and {END.strip()}")
    head, _, rest = page.partition(BEGIN)
    return f"{head}{BEGIN}{text}{END}{rest.partition(END)[2]}"


@one_line_errors
def main(arguments: list[str] | None = None, docs: Path = DOCS) -> int:
    """Run the command; 0, or 2 on an error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("reports", nargs="*", type=Path, help="report.json of hqdm fpga -o")
    o = parser.parse_args(arguments)
    figures, page = docs / "fpga.json", docs / "fpga.md"
    results = merge(json.loads(figures.read_text()) if figures.exists() else {},
                    [json.loads(path.read_text()) for path in o.reports])
    text = replace(page.read_text(), table(results))
    write_atomically(figures, json.dumps(results, indent=1, sort_keys=True) + "\n")
    write_atomically(page, text)
    print(table(results), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
