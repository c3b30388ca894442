"""The cycle model against the RTL, layer by layer: `python -m bench.estimator`.

Runs every device layer of a network on random data in the Verilated runtime and estimates it.
Ends with 1 if the cycles of the network are off by more than 2 %, or of a layer by more than 5 %.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from firmware.cycles.model import MemoryTiming, estimate
from firmware.device_layers import device_layers
from sim.measure import counters, error, stall_error
from sim.runtime.device import MemoryModel
from spec import Layer, Network, config_by_name

SHIPPED = Path(__file__).parent.parent / "models" / "cifar10" / "w4a4.integers.safetensors"
TOTAL_GATE, LAYER_GATE = 0.02, 0.05


@dataclass(frozen=True)
class Row:
    """One layer, or `count` equal ones, at one configuration and latency."""

    name: str
    count: int
    config: str
    latency: int
    measured: int
    estimated: int
    error: float
    stall_error: float


def read_network(model: str | None) -> Network:
    """The integer file `model`, or shapes by name; by default the shipped model or its shapes."""
    if model is None and not SHIPPED.is_file():
        model = "cifar10"
    if model is None or model.endswith(".safetensors"):
        from golden.network.checkpoint import load_network
        return load_network(SHIPPED if model is None else Path(model))[0].network
    from firmware.models.library import read_model
    from firmware.models.shapes import shapes
    return shapes(read_model(model)).network


def distinct(network: Network) -> dict[Layer, tuple[str, int]]:
    """The device layers without their names: name of the first, and how many are equal."""
    layers = [layer for node in network.nodes for layer in device_layers(node)]
    bare = [replace(layer, name="", timesteps=1) for layer in layers]
    names = dict(zip(reversed(bare), (layer.name for layer in reversed(layers)), strict=True))
    return {layer: (names[layer], count) for layer, count in Counter(bare).items()}


def rows(network: Network, configs: list[str], latencies: list[int]) -> Iterator[Row]:
    """Every layer on every configuration at every latency."""
    for config_name in configs:
        config = config_by_name(config_name)
        for layer, (name, count) in distinct(network).items():
            for latency in latencies:
                measured = counters(replace(layer, name=name), config, MemoryModel(latency=latency))
                found = estimate(layer, config, memory=MemoryTiming(latency=latency))
                yield Row(name, count, config_name, latency, measured["cycles"], found.cycles,
                          error(found, measured), stall_error(found, measured))


def summary(found: list[Row]) -> dict[str, object]:
    """Errors of each configuration and latency, and of the worst layer; whether the gate holds."""
    parts: list[dict[str, object]] = []
    passed = True
    for config, latency in dict.fromkeys((r.config, r.latency) for r in found):
        part = [r for r in found if (r.config, r.latency) == (config, latency)]
        measured = sum(r.count * r.measured for r in part)
        total = sum(r.count * r.estimated for r in part) / measured - 1
        worst = max(part, key=lambda r: abs(r.error))
        passed &= abs(total) <= TOTAL_GATE and abs(worst.error) <= LAYER_GATE
        parts.append({
            "config": config, "memory_latency": latency,
            "layers": sum(r.count for r in part), "distinct": len(part),
            "exact": sum(r.error == 0 for r in part), "cycles": measured, "error": total,
            "worst_layer": worst.name, "worst_error": worst.error,
            "worst_stall_error": max(r.stall_error for r in part)})
    return {"passed": passed, "totals": parts}


def print_table(found: list[Row]) -> None:
    """Every layer, then the totals, as Markdown."""
    print("| layer | equal | config | latency | RTL | model | error | stalls |\n"
          "|---|--:|---|--:|--:|--:|--:|--:|")
    for r in found:
        print(f"| {r.name} | {r.count} | {r.config} | {r.latency} | {r.measured:,} | "
              f"{r.estimated:,} | {r.error:+.2%} | {r.stall_error:.2%} |")
    print("\n| config | latency | layers | distinct | exact | RTL cycles | error | worst layer | "
          "its error | worst stall |\n|---|--:|--:|--:|--:|--:|--:|---|--:|--:|")
    totals = summary(found)["totals"]
    assert isinstance(totals, list)
    for t in totals:
        print(f"| {t['config']} | {t['memory_latency']} | {t['layers']} | {t['distinct']} | "
              f"{t['exact']} | {t['cycles']:,} | {t['error']:+.3%} | {t['worst_layer']} | "
              f"{t['worst_error']:+.2%} | {t['worst_stall_error']:.2%} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="integer file (.safetensors), or a model by name")
    parser.add_argument("--config", nargs="+", default=["n8", "n16"])
    parser.add_argument("--memory-latency", nargs="+", type=int, default=[10, 100])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    network = read_network(arguments.model)
    found = list(rows(network, arguments.config, arguments.memory_latency))
    if arguments.json:
        print(json.dumps(summary(found) | {"rows": [asdict(r) for r in found]}))
    else:
        print_table(found)
    return 0 if summary(found)["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
