"""Area and clock rate against the last accepted figures: `python -m bench.fpga_regression`.

Builds n4 for ecp5-25k (with --full also n8 for ecp5-85k) over three seeds and prints the ratios.
The exit status is 1 when LUT4, flip-flops, multipliers or block RAMs rose, or the median clock
rate fell, by more than the threshold. `--area` leaves out placement: a minute instead of many.
`--accept` takes the new figures.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.command import one_line_errors, write_json
from hqdm.fpga.build import Options, build, core_design
from hqdm.fpga.devices import device_by_name
from hqdm.spec.config_file import read_config

ACCEPTED = Path(__file__).with_name("fpga_accepted.json")
TARGETS = (("n4", "ecp5-25k"), ("n8", "ecp5-85k"))
COUNTS, CLOCK = ("lut4", "ff", "dsp", "bram"), "fmax_mhz_median"
THRESHOLD = 5.0
Figures = dict[str, float]
Row = tuple[str, float, float | None, bool]


def figures(result: dict[str, Any]) -> Figures:
    """What is kept of a result of `hqdm.fpga.build.build`."""
    return {key: result[key] for key in (*COUNTS, CLOCK) if result[key] is not None}


def compare(new: Figures, accepted: Figures, threshold: float = THRESHOLD) -> list[Row]:
    """(name, new, new over accepted, is worse by more than `threshold` per cent) of each figure.

    The ratio is None where nothing is accepted; from nothing to something is worse.
    """
    rows: list[Row] = []
    for key, value in new.items():
        old = accepted.get(key)
        if old is None:
            rows.append((key, value, None, False))
            continue
        worse = (value < old * (1 - threshold / 100) if key == CLOCK
                 else value > old * (1 + threshold / 100))
        rows.append((key, value, value / old if old else None, worse))
    return rows


def print_rows(target: str, rows: Sequence[Row]) -> None:
    """The table of one target."""
    print(f"| {target} | now | over accepted | |\n|---|--:|--:|---|")
    for name, value, ratio, worse in rows:
        shown = f"{value:,.1f}" if name == CLOCK else f"{value:,.0f}"
        print(f"| {name} | {shown} | {'-' if ratio is None else f'{ratio:.3f}'} | "
              f"{'WORSE' if worse else ''} |")


def run(config: str, device: str, *, area: bool, jobs: int) -> Figures:
    """Figures of the core of `config` on `device`."""
    options = Options(seeds=() if area else (1, 2, 3), jobs=jobs)
    result = build(core_design(read_config(config)), device_by_name(device), options,
                   lambda step, doing: print(f"{config} {step}: {doing}", file=sys.stderr))
    return figures(result)


@one_line_errors
def main(arguments: list[str] | None = None, accepted_file: Path = ACCEPTED) -> int:
    """Run the command; 0, 1 on a regression, 2 on an error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--full", action="store_true", help="n8 as well")
    add("--area", action="store_true", help="synthesis and packing only")
    add("--accept", action="store_true", help=f"write {ACCEPTED.name}")
    add("--threshold", type=float, default=THRESHOLD, help="per cent (%(default)s)")
    add("--jobs", type=int, default=1, help="runs of nextpnr at a time (%(default)s)")
    o = parser.parse_args(arguments)
    regressed = False
    accepted = json.loads(accepted_file.read_text()) if accepted_file.exists() else {}
    for config, device in TARGETS if o.full else TARGETS[:1]:
        target = f"{config} {device}"
        found = run(config, device, area=o.area, jobs=o.jobs)
        rows = compare(found, accepted.get(target, {}), o.threshold)
        print_rows(target, rows)
        regressed |= any(row[-1] for row in rows)
        accepted[target] = accepted.get(target, {}) | found
    if o.accept:
        write_json(accepted_file, accepted)
        return 0
    return int(regressed)


if __name__ == "__main__":
    sys.exit(main())
