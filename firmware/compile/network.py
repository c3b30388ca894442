"""A network's programs: every layer tiled, placed and encoded once, for all timesteps."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hqdm.cycles.tiling import TilePlan, plan
from hqdm.firmware.compile.device_parameters import device_parameters
from hqdm.firmware.compile.memory_plan import MemoryPlan, Region, place
from hqdm.firmware.compile.program import (
    ALIGNMENTS,
    CONSTANTS,
    Extents,
    Program,
    encode_layer,
    sizes,
)
from hqdm.golden.network.interpreter import IntegerNetwork
from hqdm.golden.parameters import Parameters
from hqdm.golden.stages import LayerParameters
from hqdm.spec import Config, Layer, Network, Node
from hqdm.spec.device_layers import device_layers

LARGEST = 1 << 34       # bytes of device memory, whatever the address width


@dataclass(frozen=True, kw_only=True, eq=False)
class NodeProgram:
    """A node as the device runs it.

    Members
    -------
    index: of the node in its network.
    parameters: of the node, for the host stages.
    layers: what the core runs, one or one per head, with the parameters of each.
    """

    index: int
    node: Node
    parameters: LayerParameters
    layers: tuple[Program, ...]
    device_parameters: tuple[Parameters, ...]

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


def _scratch(node: Node, need: Extents) -> dict[str, int]:
    """Pieces the host writes or reads for one layer only, with their lengths."""
    parts: dict[str, int] = {}
    if staged_sources(node):
        parts |= {f"source{i}": size for i, size in enumerate(need.sources)}
    if node.weights is not None:
        parts["weights"] = need.weights
    if node.layer.store.stages.row_scale:
        parts["second"] = need.second
    if staged_output(node):
        parts["output"] = need.output
    return parts


def _layer_regions(index: int, node: Node, layer: Layer, config: Config) -> Iterator[Region]:
    """Constants and scratch of one layer, named `LAYER: PIECE`."""
    need = sizes(layer, config)
    scratch = _scratch(node, need)
    for piece in CONSTANTS:
        if piece not in scratch:
            yield Region(name=f"{layer.name}: {piece}", size=getattr(need, piece),
                         alignment=max(ALIGNMENTS.get(piece, 1), config.burst_bytes))
    for piece, size in scratch.items():
        yield Region(name=f"{layer.name}: {piece}", size=size, alignment=config.burst_bytes,
                     first=index, last=index)


def _extents(node: Node, layer: Layer, table: dict[str, int]) -> Extents:
    """Addresses of a layer: its own pieces, else the tensors of the node."""
    def at(piece: str, tensor: str | None) -> int:
        own = table.get(f"{layer.name}: {piece}")
        if own is not None:
            return own
        return 0 if tensor is None else table[f"tensor {tensor}"]

    second = node.second if layer.store.residual != "none" else None
    constants = {piece: table[f"{layer.name}: {piece}"] for piece in CONSTANTS}
    return Extents(sources=tuple(at(f"source{i}", s) for i, s in enumerate(node.sources)),
                   second=at("second", second), output=at("output", node.output), **constants)


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
    layers = [device_layers(node) for node in described.nodes]
    tiles = [[plan(layer, config) for layer in group] for group in layers]
    regions = [r for i, (node, group) in enumerate(zip(described.nodes, layers, strict=True))
               for layer in group for r in _layer_regions(i, node, layer, config)]
    regions += _tensor_regions(described, config)
    limit = min((1 << config.address_bits) - memory_base, LARGEST)
    memory = place(regions, min(limit, memory_bytes or limit),
                   f"network {described.name} on {config.name}", memory_base)
    table = memory.table()
    nodes = tuple(
        _node_program(i, node, parameters, group, tiles[i], config, table)
        for i, (node, parameters, group) in enumerate(
            zip(described.nodes, network.layers, layers, strict=True)))
    return NetworkProgram(
        network=network, config=config, memory=memory, nodes=nodes,
        tensors={t.name: table[f"tensor {t.name}"] for t in described.tensors
                 if f"tensor {t.name}" in table})


def _node_program(index: int, node: Node, parameters: LayerParameters, layers: tuple[Layer, ...],
                  tiles: list[TilePlan], config: Config, table: dict[str, int]) -> NodeProgram:
    own = device_parameters(node, parameters)
    for layer, numbers in zip(layers, own, strict=True):
        _check(layer, numbers)
    return NodeProgram(
        index=index, node=node, parameters=parameters, device_parameters=own,
        layers=tuple(encode_layer(layer, numbers, config, tile, _extents(node, layer, table))
                     for layer, numbers, tile in zip(layers, own, tiles, strict=True)))


def _check(layer: Layer, parameters: Parameters) -> None:
    """Check what the device will read; weights that come later are checked when packed."""
    if parameters.weights.numel():
        parameters.check(layer)
    else:
        product = replace(layer.multiply, product="mix")    # whose weights are not checked
        parameters.check(replace(layer, multiply=product))
