"""A network's programs: every layer tiled, placed and encoded once, for all timesteps."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from hqdm.firmware.compile.device_parameters import device_parameters
from hqdm.firmware.compile.layers import CoreLayer, compile_layers
from hqdm.firmware.compile.memory_plan import MemoryPlan, Region
from hqdm.firmware.compile.program import LayerProgram
from hqdm.golden.network.interpreter import IntegerNetwork
from hqdm.golden.stages import LayerParameters
from hqdm.spec import Config, Network, Node
from hqdm.spec.device_layers import device_layers


@dataclass(frozen=True, kw_only=True, eq=False)
class NodeProgram:
    """A node as the device runs it.

    Members
    -------
    index: of the node in its network.
    parameters: of the node, for the host stages.
    layers: what the core runs, one or one per head.
    """

    index: int
    node: Node
    parameters: LayerParameters
    layers: tuple[LayerProgram, ...]

    @property
    def cycles(self) -> int:
        """Estimate of the tile plans."""
        return sum(program.plan.cycles for program in self.layers)


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkProgram:
    """All of a network for one configuration.

    Members
    -------
    memory: where everything is.
    nodes: in order.
    tensors: address of every tensor that lies in device memory by name.
    """

    network: IntegerNetwork
    config: Config
    memory: MemoryPlan
    nodes: tuple[NodeProgram, ...]
    tensors: dict[str, int]

    @property
    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """(address, image) of all constants."""
        for node in self.nodes:
            for program in node.layers:
                yield from program.pieces

    @property
    def layer_count(self) -> int:
        """Layers the core runs in one call."""
        return sum(len(node.layers) for node in self.nodes)

    @property
    def cycles(self) -> int:
        """Estimate of one call."""
        return sum(node.cycles for node in self.nodes)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one call."""
        return self.network.network.macs


def staged_sources(node: Node) -> bool:
    """Whether the host makes what the load reads: stages, or heads cut apart."""
    return bool(node.layer.load.stages.names) or node.layer.multiply.heads > 1


def staged_output(node: Node) -> bool:
    """Whether the host makes the node's tensor of what the core stored: a gate, or heads."""
    return node.layer.store.stages.gate is not None or node.layer.multiply.heads > 1


def _tensor_lives(network: Network) -> dict[str, tuple[int, int]]:
    """First and last node of every tensor; the output lives to the end."""
    lives = {network.input: (0, 0)}
    for index, node in enumerate(network.nodes):
        for name in node.reads:
            lives[name] = (lives[name][0], index)
        lives[node.output] = (index, index)
    lives[network.output] = (lives[network.output][0], len(network.nodes))
    return lives


def _tensor_regions(network: Network, config: Config) -> Iterator[Region]:
    for name, (first, last) in _tensor_lives(network).items():
        tensor = network.tensor(name)
        size = tensor.pixels * config.words(tensor.channels) * config.word_bytes
        yield Region(name=f"tensor {name}", size=size, alignment=config.burst_bytes, first=first,
                     last=last)


def _core_layers(index: int, node: Node, parameters: LayerParameters) -> Iterator[CoreLayer]:
    """What the core runs for a node; what the host makes or cuts apart is a layer's own."""
    own = device_parameters(node, parameters)
    for layer, numbers in zip(device_layers(node), own, strict=True):
        yield CoreLayer(
            index=index, layer=layer, parameters=numbers, host_weights=node.weights is not None,
            sources=None if staged_sources(node) else node.sources,
            second=node.second if layer.store.residual != "none" else None,
            output=None if staged_output(node) else node.output)


def compile_network(network: IntegerNetwork, config: Config,
                    memory_bytes: int | None = None, memory_base: int = 0) -> NetworkProgram:
    """Tile, place and encode every layer.

    Parameters
    ----------
    memory_bytes: of the device; None for what its addresses reach.
    memory_base: first address of the memory.

    Raises
    ------
    ValueError: a layer that does not fit the configuration's buffers (which, what it needs, which
        preset would do), or a network that does not fit the memory.
    """
    described = network.network
    if described.host:
        raise ValueError(f"network {described.name}: wanted tensors that the core makes, got "
                         f"{described.host[0].output!r}, which is computed on the host")
    pairs = list(zip(described.nodes, network.layers, strict=True))
    layers = [list(_core_layers(i, node, numbers)) for i, (node, numbers) in enumerate(pairs)]
    memory, programs = compile_layers(
        [layer for group in layers for layer in group], _tensor_regions(described, config), config,
        f"network {described.name}", memory_bytes=memory_bytes, memory_base=memory_base)
    table, left = memory.table(), iter(programs)
    nodes = tuple(
        NodeProgram(index=i, node=node, parameters=numbers,
                    layers=tuple(islice(left, len(group))))
        for i, ((node, numbers), group) in enumerate(zip(pairs, layers, strict=True)))
    return NetworkProgram(
        network=network, config=config, memory=memory, nodes=nodes,
        tensors={t.name: table[f"tensor {t.name}"] for t in described.tensors
                 if f"tensor {t.name}" in table})
