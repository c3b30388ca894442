"""Array use of full-size layers on the RTL: `python -m bench.utilisation [--config n16 n32]`.

Runs each layer of random data in the Verilated runtime with 40 cycles of memory latency, compares
it with the golden model, and prints the table of README.md and docs/results.md.
"""

import argparse
from typing import Any

from hqdm.sim.compare_layer import compare_layer, make_layer
from hqdm.spec import Layer, config_by_name
from hqdm.spec.stalls import CAUSES

LATENCY = 40
TIMESTEPS, TIMESTEP = 20, 7


def layers() -> dict[str, Layer]:
    """The layers of the table, by label."""
    return {
        "conv3x3 64→64, 32x32, width": make_layer(
            op="conv3x3", channels=(64,), out_channels=64, height=32, width=32, axis="width",
            timesteps=TIMESTEPS),
        "conv3x3 192→192, 32x32, channel": make_layer(
            op="conv3x3", channels=(192,), out_channels=192, height=32, width=32, axis="channel",
            timesteps=TIMESTEPS),
        "linear 384→1536, 1024 rows, channel": make_layer(
            op="linear", channels=(384,), out_channels=1536, height=1024, width=1,
            axis="channel", timesteps=TIMESTEPS),
    }


def row(label: str, name: str, result: dict[str, Any]) -> str:
    stalls = " | ".join(f"{cycles:,}" for cycles in result["stalls"].values())
    return (f"| {label} | {name} | {result['mismatches']} | {result['ideal_cycles']:,.0f} | "
            f"{result['cycles']:,} | {result['utilization']:.1%} | {stalls} | "
            f"{result['cycles_per_second']:,.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", nargs="+", default=["n16", "n32"])
    names = parser.parse_args().config
    print("| layer | config | mismatches | ideal cycles | cycles | array use | "
          f"{' | '.join(CAUSES)} | simulated cycles/s |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for name in names:
        config = config_by_name(name)
        for label, layer in layers().items():
            result = compare_layer(layer, config, timestep=TIMESTEP, memory_latency=LATENCY)
            print(row(label, name, result), flush=True)


if __name__ == "__main__":
    main()
