"""The core against the repository's first: `python -m bench.first_version [--config n32]`.

Clones this repository at the last commit of its first version (layers, no networks), builds the
simulators of both cores, cold, on two processors, and lets them run the same layer in turns:
seconds to generate and to build, simulated cycles per second, and the ratio of these. Needs the
repository's history.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from bench.command import write_json
from hqdm.kit.cache import ROOT
from hqdm.spec.config import PRESETS

FIRST = "dce26c6"
LABELS = ("first version", "this version")
ROUNDS = 5
PREFIX = "hqdm."         # of the subpackages; the first version's were packages of their own
COMPARE = {True: "firmware.compare", False: "hqdm.sim.compare_layer"}
BUILD = """
import json, sys, time
from {prefix}rtl.generate import generate_cached
from {prefix}sim.runtime.build import build
from {prefix}spec import config_by_name
config = config_by_name(sys.argv[1])
start = time.perf_counter()
text = generate_cached(config)
generated = time.perf_counter()
build(config)
print(json.dumps({{"verilog_mb": len(text) / 1e6, "generation_s": generated - start,
                   "build_s": time.perf_counter() - generated}}))
"""
RUN = """
import json, sys
from bench.utilisation import LATENCY, TIMESTEP, layers
from {compare} import compare_layer
from {prefix}spec import config_by_name
result = compare_layer(next(iter(layers().values())), config_by_name(sys.argv[1]),
                       timestep=TIMESTEP, memory_latency=LATENCY)
print(json.dumps({{key: result[key] for key in ("mismatches", "cycles", "cycles_per_second")}}))
"""


def python(code: str, config: str, folder: Path, cache: Path) -> dict[str, Any]:
    """What `code` prints, run on the sources in `folder` with a build cache of its own."""
    old = not (folder / "src").exists()
    code = code.format(prefix="" if old else PREFIX, compare=COMPARE[old])
    path = os.pathsep.join([str(folder), str(folder / "src")])
    environment = {**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(cache),
                   "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code, config], cwd=folder, env=environment,
                          text=True, capture_output=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(config: str, commit: str, temporary: Path) -> dict[str, dict[str, Any]]:
    """Figures of both versions by label; speeds are medians over rounds in which both run."""
    first = temporary / "first"
    for command in (["clone", "--quiet", "--no-checkout", str(ROOT), str(first)],
                    ["-C", str(first), "checkout", "--quiet", commit]):
        subprocess.run(["git", *command], check=True)
    folders = dict(zip(LABELS, (first, ROOT), strict=True))
    found = {label: python(BUILD, config, folder, temporary) for label, folder in folders.items()}
    runs: dict[str, list[dict[str, Any]]] = {label: [] for label in LABELS}
    for _ in range(ROUNDS):
        for label, folder in folders.items():
            runs[label].append(python(RUN, config, folder, temporary))
    for label, results in runs.items():
        found[label] |= results[0] | {"cycles_per_second": median(
            result["cycles_per_second"] for result in results)}
    return found


def table(found: dict[str, dict[str, Any]], config: str) -> str:
    lines = [f"| {config} | Verilog | generation | build | mismatches | simulated cycles/s |",
             "|---|--:|--:|--:|--:|--:|"]
    lines += [f"| {label} | {row['verilog_mb']:.2f} MB | {row['generation_s']:.0f} s | "
              f"{row['build_s']:.0f} s | {row['mismatches']} | {row['cycles_per_second']:,.0f} |"
              for label, row in found.items()]
    return "\n".join([*lines, "", f"{ratio(found):.2f} times the cycles per second"])


def ratio(found: dict[str, dict[str, Any]]) -> float:
    first, now = (found[label]["cycles_per_second"] for label in LABELS)
    return now / first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="n32", choices=list(PRESETS))
    parser.add_argument("--commit", default=FIRST, help="the version to compare with")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        found = compare(options.config, options.commit, Path(temporary))
    print(table(found, options.config))
    write_json(options.json, {"config": options.config, "commit": options.commit,
                              "versions": found, "speed_ratio": ratio(found)})


if __name__ == "__main__":
    main()
