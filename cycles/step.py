"""One denoising step: the cycles of every layer of a network, and the work left to the host."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from hqdm.cycles.estimate import PORTS, Estimate, MemoryTiming
from hqdm.cycles.model import estimate, stacked
from hqdm.spec.config import Config
from hqdm.spec.device_layers import HostWork, device_layers, host_work
from hqdm.spec.layer import Layer
from hqdm.spec.network import HostTensor, Network, Node
from hqdm.spec.stalls import Stalls

BOUNDS = ("array", "load", "weight", "store", "memory")
DEFAULT_MEMORY = MemoryTiming()
MOST_IMAGES = 65535


@dataclass(frozen=True, kw_only=True)
class Run:
    """A layer the core runs, and how often: for each head of a product, and for each image whose
    weights are not shared.

    Members
    -------
    name: of the layer, without the head.
    estimate: of one run.
    runs: how often.
    macs: of all runs, gap rows between stacked images not counted.
    """

    name: str
    estimate: Estimate
    runs: int
    macs: int

    @property
    def layer(self) -> Layer:
        return self.estimate.layer

    @property
    def cycles(self) -> int:
        return self.runs * self.estimate.cycles

    @property
    def busy(self) -> int:
        """Cycles in which the array takes operands."""
        return self.runs * self.estimate.busy

    @property
    def ideal_cycles(self) -> float:
        """Cycles if every cell of the array worked in every cycle."""
        return self.macs / self.estimate.config.n ** 2

    @property
    def stalls(self) -> Stalls:
        return self.estimate.stalls * self.runs

    @property
    def dram_bytes(self) -> dict[str, int]:
        return {port: self.runs * self.estimate.dram_bytes[port] for port in PORTS}

    @property
    def kind(self) -> str:
        """What sort of layer it is, for tables and plots."""
        load, multiply = self.layer.load, self.layer.multiply
        if self.name.endswith((".scores", ".mix")):
            return "attention product"
        if load.upsample == 2:
            return "3x3 upsampling" if multiply.op == "conv3x3" else "1x1 upsampling"
        name = {"linear": "linear", "conv1x1": "1x1", "conv3x3": "3x3"}[multiply.op]
        down = " downsampling" if multiply.stride == 2 else ""
        return f"{name}{down}, 8 bits" if load.bits == multiply.bits == 8 else f"{name}{down}"

    @property
    def limits(self) -> dict[str, float]:
        """Cycles each resource alone would take, however well everything overlapped."""
        found, config = self.estimate, self.estimate.config
        pixels = self.layer.out_height * self.layer.out_width
        words = config.words(self.layer.multiply.out_channels)
        store = config.n // config.store_lanes * words * pixels
        beats, bandwidth = found.beats, found.memory.bandwidth
        limits = {"array": found.busy, "load": beats["load"], "weight": beats["weight"],
                  "store": max(store, beats["store_read"], beats["store_write"]),
                  "memory": sum(found.dram_bytes.values()) / float(bandwidth) if bandwidth else 0}
        return {name: float(self.runs * limits[name]) for name in BOUNDS}

    @property
    def bound(self) -> str:
        """The resource with the largest limit."""
        limits = self.limits
        return max(BOUNDS, key=lambda name: limits[name])


@dataclass(frozen=True, kw_only=True)
class Runs:
    """Layers added up.

    Members
    -------
    runs: the layers.
    """

    runs: tuple[Run, ...]

    @property
    def macs(self) -> int:
        return sum(r.macs for r in self.runs)

    @property
    def cycles(self) -> int:
        return sum(r.cycles for r in self.runs)

    @property
    def busy(self) -> int:
        """Cycles in which the array takes operands."""
        return sum(r.busy for r in self.runs)

    @property
    def ideal_cycles(self) -> float:
        return sum(r.ideal_cycles for r in self.runs)

    @property
    def stalls(self) -> Stalls:
        return sum((r.stalls for r in self.runs), Stalls())

    @property
    def dram_bytes(self) -> dict[str, int]:
        return {port: sum(r.dram_bytes[port] for r in self.runs) for port in PORTS}


@dataclass(frozen=True, kw_only=True)
class Step(Runs):
    """One denoising step: one call of the network for `batch` images.

    Members
    -------
    runs: every layer in order of execution.
    host: what the host computes between them, by stage, of all images.
    """

    network: Network
    config: Config
    memory: MemoryTiming
    batch: int
    host: tuple[HostWork, ...]

    @property
    def ideal_cycles(self) -> float:
        return self.macs / self.config.n ** 2

    @property
    def utilization(self) -> float:
        """ideal_cycles / cycles."""
        return self.ideal_cycles / self.cycles


@lru_cache(maxsize=4096)
def _estimate(layer: Layer, config: Config, memory: MemoryTiming) -> Estimate:
    return estimate(layer, config, None, memory)


def _named(layer: Layer, config: Config, memory: MemoryTiming) -> Estimate:
    """As `estimate`, computed once for all layers of these sizes."""
    try:
        return replace(_estimate(replace(layer, name=""), config, memory), layer=layer)
    except ValueError:
        return estimate(layer, config, None, memory)    # says the layer's name


def node_runs(node: Node, batch: int, config: Config, memory: MemoryTiming) -> Run:
    """The device layers of `node` for `batch` images.

    Images are stacked, so that they share the weights, where that takes no more cycles than one
    after the other: rows between them cost some, and some stacks fit no tile as well.

    Raises
    ------
    ValueError: a layer that does not fit the configuration.
    """
    layers = device_layers(node)
    one = Run(name=node.layer.name, estimate=_named(layers[0], config, memory),
              runs=len(layers) * batch, macs=batch * node.layer.macs)
    if batch == 1 or node.layer.multiply.product != "none":
        return one
    try:
        layer = stacked(layers[0], batch)
    except ValueError:      # more rows than a layer may have
        return one
    together = replace(one, runs=1, estimate=_named(layer, config, memory))
    return min(together, one, key=lambda run: run.cycles)


def _host_tensor(host: HostTensor, network: Network) -> Iterator[HostWork]:
    """What making `host` takes in every step."""
    if host.source is None:
        return
    read = network.tensor(host.source)
    size = read.channels * read.pixels
    yield from (HostWork(stage=name, elements=size) for name in host.stages.names)
    what = {"average": "average pooling", "repeat": "upsampling of a shortcut",
            "join": "joining image and context"}[host.kind]
    made = network.tensor(host.output)
    yield HostWork(stage=what, elements=max(size, made.channels * made.pixels))


def all_host_work(network: Network, batch: int) -> tuple[HostWork, ...]:
    """The host's work of a step for `batch` images, summed by stage."""
    total: Counter[str] = Counter()
    for node in network.nodes:
        for work in host_work(node):
            total[work.stage] += batch * work.elements
    for host in network.host:
        for work in _host_tensor(host, network):
            total[work.stage] += batch * work.elements
    return tuple(HostWork(stage=stage, elements=n) for stage, n in total.most_common())


def estimate_step(network: Network, config: Config, memory: MemoryTiming = DEFAULT_MEMORY,
                  batch: int = 1) -> Step:
    """Cycles of one call of `network` for `batch` images on a core of `config`.

    Raises
    ------
    ValueError: no image, or a layer that does not fit the configuration: which, what it needs,
        and which preset holds it.
    """
    if batch < 1:
        raise ValueError(f"batch: wanted at least 1 image, got {batch}")
    if batch > MOST_IMAGES:
        raise ValueError(f"batch: wanted at most {MOST_IMAGES:,} images, got {batch:,}")
    return Step(
        network=network, config=config, memory=memory, batch=batch,
        runs=tuple(node_runs(node, batch, config, memory) for node in network.nodes),
        host=all_host_work(network, batch))
