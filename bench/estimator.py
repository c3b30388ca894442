"""The cycle model against the RTL, layer by layer: `python -m bench.estimator`.

Runs every device layer of a network on random data in the Verilated runtime and estimates it;
with `--random 150`, random layers cut in random ways instead.
Ends with 1 if the cycles of the network are off by more than 2 %, or of a layer by more than 5 %
(with `--bandwidth`, which the model takes as an average, only of the network).
"""

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

from hqdm.cycles.model import MemoryTiming, estimate
from hqdm.cycles.tiling import TilePlan, candidates
from hqdm.golden.random import random_layer
from hqdm.sim.measure import counters, error, stall_error
from hqdm.sim.runtime.device import MemoryModel
from hqdm.spec import Config, Layer, Network, config_by_name
from hqdm.spec.device_layers import device_layers

SHIPPED = Path(__file__).parent.parent / "models" / "cifar10" / "w4a4.integers.safetensors"
TOTAL_GATE, LAYER_GATE = 0.02, 0.05


@dataclass(frozen=True)
class Row:
    """One layer, or `count` equal ones, on one configuration and one memory.

    bandwidth: beats per cycle of all ports together; None is one per cycle and port.
    """

    name: str
    count: int
    config: str
    latency: int
    measured: int
    estimated: int
    error: float
    stall_error: float
    bandwidth: float | None = None


def read_network(model: str | None) -> Network:
    """The integer file `model`, or shapes by name; by default the shipped model or its shapes."""
    if model is None and not SHIPPED.is_file():
        model = "cifar10"
    if model is None or model.endswith(".safetensors"):
        from hqdm.golden.network.network_file import load_network
        return load_network(SHIPPED if model is None else Path(model))[0].network
    from hqdm.firmware.catalogue.library import read_model
    from hqdm.firmware.catalogue.shapes import shapes
    return shapes(read_model(model)).network


def distinct(network: Network) -> dict[Layer, tuple[str, int]]:
    """The device layers without their names: name of the first, and how many are equal."""
    layers = [layer for node in network.nodes for layer in device_layers(node)]
    bare = [replace(layer, name="", timesteps=1) for layer in layers]
    names = dict(zip(reversed(bare), (layer.name for layer in reversed(layers)), strict=True))
    return {layer: (names[layer], count) for layer, count in Counter(bare).items()}


@dataclass(frozen=True)
class Memory:
    """Latency in cycles, bandwidth in beats per cycle of all ports together."""

    latency: int
    bandwidth: Fraction | None = None

    def row(self, layer: Layer, config: Config, name: str, count: int = 1,
            tiles: TilePlan | None = None) -> Row:
        """`layer` on the RTL and in the model."""
        rate = None if self.bandwidth is None else self.bandwidth * config.bus_bytes
        measured = counters(replace(layer, name=name), config,
                            MemoryModel(latency=self.latency, bandwidth=rate), tiles)
        found = estimate(layer, config, tiles,
                         MemoryTiming(latency=self.latency, bandwidth=rate))
        return Row(name, count, config.name, self.latency, measured["cycles"], found.cycles,
                   error(found, measured), stall_error(found, measured),
                   None if self.bandwidth is None else float(self.bandwidth))


def rows(network: Network, configs: list[str], memories: list[Memory]) -> Iterator[Row]:
    """Every layer on every configuration and memory."""
    for config in map(config_by_name, configs):
        for layer, (name, count) in distinct(network).items():
            for memory in memories:
                yield memory.row(layer, config, name, count)


def random_plans(rng: random.Random, config: Config) -> Iterator[tuple[Layer, TilePlan]]:
    """Layers with any option, without end, each with its best cut or just any."""
    while True:
        layer = random_layer(rng, config, max_macs=100_000)
        if plans := sorted(candidates(layer, config), key=lambda p: p.cycles):
            yield layer, rng.choice((plans[0], rng.choice(plans)))


def random_rows(number: int, seed: int, configs: list[str], memories: list[Memory],
                ) -> Iterator[Row]:
    """`number` random layers of every configuration, each on every memory."""
    for config in map(config_by_name, configs):
        plans = random_plans(random.Random(f"{seed} {config.name}"), config)
        for index, (layer, tiles) in enumerate(islice(plans, number)):
            for memory in memories:
                yield memory.row(layer, config, f"random {index}", tiles=tiles)


def summary(found: list[Row]) -> dict[str, object]:
    """Errors of each configuration and memory, and of the worst layer; whether the gate holds."""
    parts: list[dict[str, object]] = []
    passed = True
    for key in dict.fromkeys((r.config, r.latency, r.bandwidth) for r in found):
        config, latency, bandwidth = key
        part = [r for r in found if (r.config, r.latency, r.bandwidth) == key]
        measured = sum(r.count * r.measured for r in part)
        total = sum(r.count * r.estimated for r in part) / measured - 1
        worst = max(part, key=lambda r: abs(r.error))
        passed &= abs(total) <= TOTAL_GATE
        passed &= abs(worst.error) <= LAYER_GATE or bandwidth is not None
        parts.append({
            "config": config, "memory_latency": latency, "bandwidth": bandwidth,
            "layers": sum(r.count for r in part), "distinct": len(part),
            "exact": sum(r.error == 0 for r in part), "cycles": measured, "error": total,
            "worst_layer": worst.name, "worst_error": worst.error,
            "worst_stall_error": max(r.stall_error for r in part)})
    return {"passed": passed, "totals": parts}


def print_table(found: list[Row]) -> None:
    """Every layer, then the totals, as Markdown."""
    def beats(bandwidth: object) -> str:
        return "" if bandwidth is None else f"{bandwidth:g}"

    print("| layer | equal | config | latency | beats/cycle | RTL | model | error | stalls |\n"
          "|---|--:|---|--:|--:|--:|--:|--:|--:|")
    for r in found:
        print(f"| {r.name} | {r.count} | {r.config} | {r.latency} | {beats(r.bandwidth)} | "
              f"{r.measured:,} | {r.estimated:,} | {r.error:+.2%} | {r.stall_error:.2%} |")
    print("\n| config | latency | beats/cycle | layers | distinct | exact | RTL cycles | error | "
          "worst layer | its error | worst stall |\n"
          "|---|--:|--:|--:|--:|--:|--:|--:|---|--:|--:|")
    totals = summary(found)["totals"]
    assert isinstance(totals, list)
    for t in totals:
        print(f"| {t['config']} | {t['memory_latency']} | {beats(t['bandwidth'])} | "
              f"{t['layers']} | {t['distinct']} | {t['exact']} | {t['cycles']:,} | "
              f"{t['error']:+.3%} | {t['worst_layer']} | {t['worst_error']:+.2%} | "
              f"{t['worst_stall_error']:.2%} |")


def positive(text: str) -> Fraction:
    """A number above 0, such as 3/5 or 1.5."""
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"wanted a number above 0, got {text!r}")
    return value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="integer file (.safetensors), or a model by name")
    parser.add_argument("--config", nargs="+", default=["n8", "n16"])
    parser.add_argument("--memory-latency", nargs="+", type=int, default=[10, 100])
    parser.add_argument("--bandwidth", nargs="+", type=positive, default=[None],
                        help="beats per cycle of all ports together, such as 3/5 or 1.5; "
                             "one per cycle and port")
    parser.add_argument("--random", type=int, metavar="N",
                        help="N random layers with random tile plans, in place of a network")
    parser.add_argument("--seed", type=int, default=1, help="of --random")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    memories = [Memory(latency, bandwidth) for bandwidth in arguments.bandwidth
                for latency in arguments.memory_latency]
    if arguments.random is not None and arguments.random < 1:
        parser.error(f"--random: wanted at least 1 layer, got {arguments.random}")
    try:
        found = list(
            rows(read_network(arguments.model), arguments.config, memories)
            if arguments.random is None else
            random_rows(arguments.random, arguments.seed, arguments.config, memories))
    except ValueError as error:
        parser.error(str(error))
    if arguments.json:
        print(json.dumps(summary(found) | {"rows": [asdict(r) for r in found]}))
    else:
        print_table(found)
    return 0 if summary(found)["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
