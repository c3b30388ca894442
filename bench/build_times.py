"""Cold generation and build times: `python -m bench.build_times [--config n16 n32]`.

Generates the Verilog and builds the Verilated runtime into an empty cache, then runs one layer
and prints the simulated cycles per second.
"""

import argparse
import tempfile
import time
from pathlib import Path

from bench.utilisation import LATENCY, TIMESTEP, layers
from hqdm.rtl.generate import generate_cached
from hqdm.sim.compare_layer import compare_layer
from hqdm.sim.runtime.build import build
from hqdm.spec import Config, config_by_name


def measure(config: Config, cache: Path) -> str:
    start = time.perf_counter()
    text = generate_cached(config, cache)
    generated = time.perf_counter()
    build(config, cache)
    built = time.perf_counter()
    layer = next(iter(layers().values()))
    speed = compare_layer(layer, config, timestep=TIMESTEP, memory_latency=LATENCY)
    return (f"| {config.name} | {len(text) / 1e6:.2f} MB | {generated - start:.0f} s | "
            f"{built - generated:.0f} s | {speed['cycles_per_second']:,.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", nargs="+", default=["n4", "n8", "n16"])
    print("| config | Verilog | generation | Verilator build | simulated cycles/s |")
    print("|---|--:|--:|--:|--:|")
    for name in parser.parse_args().config:
        with tempfile.TemporaryDirectory() as cache:
            print(measure(config_by_name(name), Path(cache)), flush=True)


if __name__ == "__main__":
    main()
