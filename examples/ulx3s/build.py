"""Bitstream for the ULX3S 85F: `python -m examples.ulx3s.build [--config n4] [-o build/ulx3s]`.

Unlike `hqdm fpga` this is not out of context: pins, PLL and reset are placed and routed too.
Everything is made in a temporary folder; the bitstream is moved to its place when all is done.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from examples.ulx3s.top import CLOCK_MHZ, Top
from hqdm.fpga.place import read_report
from hqdm.fpga.tools import NEXTPNR, PACK, YOSYS, Tools
from hqdm.rtl.generate import to_verilog
from hqdm.spec.config import Config
from hqdm.spec.config_file import read_config

CONSTRAINTS = Path(__file__).with_name("ulx3s.lpf")
SIZE, PACKAGE, TOP = "--85k", "CABGA381", "ulx3s"


def synthesise(config: Config, folder: Path, tools: Tools) -> None:
    """ulx3s.v and ulx3s.json in `folder`."""
    (folder / f"{TOP}.v").write_text(to_verilog(Top(config), TOP), encoding="utf-8")
    script = f"read_verilog {TOP}.v; synth_ecp5 -top {TOP} -json {TOP}.json"
    tools.run(YOSYS, ["-q", "-p", script], folder)


def place_and_pack(folder: Path, tools: Tools, seed: int) -> dict:
    """ulx3s.config and ulx3s.bit in `folder`; returns `read_report`."""
    (folder / CONSTRAINTS.name).write_text(CONSTRAINTS.read_text())
    tools.run(NEXTPNR, [SIZE, "--package", PACKAGE, "--speed", "6", "--json", f"{TOP}.json",
                        "--lpf", CONSTRAINTS.name, "--textcfg", f"{TOP}.config", "--report",
                        "report.json", "--seed", str(seed), "--timing-allow-fail"], folder)
    tools.run(PACK, ["--compress", f"{TOP}.config", f"{TOP}.bit"], folder)
    return read_report((folder / "report.json").read_bytes())


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0, 1 if the clock is missed, 2 on an error."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--config", default="n4", help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="(%(default)s)")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/ulx3s"),
                        help="folder (%(default)s)")
    o = parser.parse_args(arguments)
    tools = Tools()
    try:
        config = read_config(o.config)
        o.output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=o.output) as name:
            folder = Path(name)
            synthesise(config, folder, tools)
            report = place_and_pack(folder, tools, o.seed)
            (folder / "ulx3s.report.json").write_text(json.dumps(report, indent=1) + "\n")
            for file in (f"{TOP}.config", f"{TOP}.bit", "ulx3s.report.json"):
                os.replace(folder / file, o.output / file)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(f"{o.output / TOP}.bit: {report['used']['TRELLIS_COMB']:,} LUT4, "
          f"{report['fmax_mhz']:.1f} MHz of {CLOCK_MHZ}")
    return int(report["fmax_mhz"] < CLOCK_MHZ)


if __name__ == "__main__":
    sys.exit(main())
