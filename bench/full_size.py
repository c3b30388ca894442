"""A layer of each kind of ldm4-imagenet at full size on the RTL: `python -m bench.full_size`.

Random weights and activations, 40 cycles of memory latency, timestep 7 of 20. Every output is
compared with the golden model, every cycle count with the cycle model; prints the table of
docs/results.md and exits 1 if an output differs or an estimate is off by more than 5 %.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from hqdm.cycles.model import MemoryTiming, estimate
from hqdm.sim.compare_layer import compare_layer, make_layer
from hqdm.spec import Config, Layer, config_by_name
from hqdm.spec.stalls import CAUSES

TIMESTEPS, TIMESTEP = 20, 7
GATE = 0.05


def layers() -> dict[str, Layer]:
    """Layers of ldm4-imagenet by label: W4A4, but 8 bits where HQ-DM leaves them."""
    def conv(channels: tuple[int, ...], out: int, size: int, **options: Any) -> Layer:
        return make_layer(op="conv3x3", channels=channels, out_channels=out, height=size,
                          width=size, axis="width", timesteps=TIMESTEPS, **options)
    return {
        "3x3, 64x64, 192 to 192": conv((192,), 192, 64, residual="add"),
        "3x3, 8x8, 960 + 960 to 960": conv((960, 960), 960, 8),
        "1x1, 32x32, 384 to 384": make_layer(
            op="conv1x1", channels=(384,), out_channels=384, height=32, width=32, axis="channel",
            timesteps=TIMESTEPS),
        "feed-forward, 1024 x 384 to 3072": make_layer(
            op="linear", channels=(384,), out_channels=3072, height=1024, width=1,
            axis="channel", timesteps=TIMESTEPS),
        "downsampling, 64x64, 192 to 192, W8A8": conv(
            (192,), 192, 64, stride=2, act_bits=8, weight_bits=8),
        "upsampling, 32x32 to 64x64, 384 to 384": conv((384,), 384, 32, upsample=2),
    }


def measure(layer: Layer, config: Config, latency: int) -> dict[str, Any]:
    """RTL and model of one layer."""
    expected = estimate(layer, config, memory=MemoryTiming(latency=latency)).cycles
    result = compare_layer(layer, config, timestep=TIMESTEP, memory_latency=latency)
    return result | {"estimate": expected, "error": expected / result["cycles"] - 1}


def row(label: str, result: dict[str, Any]) -> str:
    """A line of the table."""
    stalls = " | ".join(f"{cycles:,}" for cycles in result["stalls"].values())
    return (f"| {label} | {result['mismatches']} of {result['outputs']:,} | "
            f"{result['ideal_cycles']:,.0f} | {result['cycles']:,} | {result['utilization']:.1%} | "
            f"{result['estimate']:,} | {result['error']:+.2%} | {stalls} |")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0; 1 for a mismatch or an estimate beyond the gate."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--config", default="n32", help="(%(default)s)")
    parser.add_argument("--memory-latency", type=int, default=40, help="cycles (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one object per layer")
    options = parser.parse_args(arguments)
    config = config_by_name(options.config)
    if not options.json:
        print(f"| layer on {config.name} | mismatches | ideal cycles | cycles | array use | "
              f"estimate | error | {' | '.join(CAUSES)} |")
        print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    bad = 0
    for label, layer in layers().items():
        result = measure(layer, config, options.memory_latency)
        bad += result["mismatches"] > 0 or abs(result["error"]) > GATE
        print(json.dumps({"layer": label} | result) if options.json else row(label, result),
              flush=True)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
