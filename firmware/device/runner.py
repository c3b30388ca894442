"""Runs a network on a device, layer by layer, at any timestep and class."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from hqdm.firmware.compile.network import NetworkProgram, NodeProgram, staged_output, staged_sources
from hqdm.firmware.device import host_stages
from hqdm.firmware.device.driver import Driver
from hqdm.firmware.device.layer import (
    DeviceLayer,
    LayerRun,
    Operands,
    read_tensor,
    write_tensor,
)
from hqdm.firmware.device.transport import Transport
from hqdm.golden.arithmetic.statistics import Statistics
from hqdm.golden.carrier import Carrier
from hqdm.kit.check import check_int
from hqdm.spec import Layer, Node


@dataclass(frozen=True)
class NodeRun:
    """One node: the layers the core ran for it, and seconds spent on the device and the host."""

    program: NodeProgram
    layers: tuple[LayerRun, ...]
    device_seconds: float
    host_seconds: float


class DeviceNetwork:
    """A compiled network whose constants are in device memory.

    Parameters
    ----------
    program: of `compile_network`.
    transport: a device of the same configuration with at least the plan's memory.
    watchdog: as of `Driver`.

    Members
    -------
    layers: what the core runs for each node.

    Raises
    ------
    ConfigMismatch: a core of another configuration.
    ValueError: too little memory, or at another address.
    """

    def __init__(self, program: NetworkProgram, transport: Transport,
                 watchdog: int | None = None) -> None:
        if transport.memory_bytes < program.memory.total_bytes:
            raise ValueError(f"network {program.network.network.name}: wanted "
                             f"{program.memory.total_bytes} bytes of memory, got "
                             f"{transport.memory_bytes}")
        if transport.memory_base != program.memory.base:
            raise ValueError(f"network {program.network.network.name}: wanted memory at "
                             f"{program.memory.base:#x}, got {transport.memory_base:#x}")
        self.program, self.transport = program, transport
        self.driver = Driver(transport, program.config, watchdog)
        self._shapes = {t.name: t for t in program.network.network.tensors}
        self._writers = {node.node.output: node for node in program.nodes}
        self._statistics: dict[str, Statistics] = {}
        self._timestep = self._class = 0
        self.layers = tuple(tuple(DeviceLayer(self.driver, layer) for layer in node.layers)
                            for node in program.nodes)

    def run(self, latents: Carrier, timestep: int, class_index: int = 0,
            ) -> tuple[Carrier, list[NodeRun]]:
        """The output carrier (C, H, W) and what every node took; as `trace`."""
        runs = list(self.trace(latents, timestep, class_index))
        return self.read(self.program.network.network.output), runs

    def trace(self, latents: Carrier, timestep: int, class_index: int = 0) -> Iterator[NodeRun]:
        """Run node by node; between two nodes `read` gives the tensors that still live.

        Parameters
        ----------
        latents: (C, H, W) of the exponent of the timestep.

        Raises
        ------
        ValueError, TypeError: a latent, timestep or class that the network does not have.
        DeviceError, TimeoutError: the device ended a layer with a fault, or not at all.
        """
        self._check(latents, timestep, class_index)
        network = self.program.network.network
        self._timestep, self._class = timestep, class_index
        self._statistics = {network.input: Statistics()}
        self._write(network.input, latents.values)
        for program in self.program.nodes:
            yield self._run_node(program)

    def _check(self, latents: Carrier, timestep: int, class_index: int) -> None:
        network = self.program.network
        check_int("timestep", timestep, 0, network.network.timesteps - 1)
        check_int("class", class_index, 0, network.network.classes - 1)
        spec = self._shapes[network.network.input]
        wanted = (spec.channels, spec.height, spec.width)
        exponent = int(network.input_exponent[timestep])
        if tuple(latents.values.shape) != wanted or latents.exponent != exponent:
            raise ValueError(f"latent: wanted shape {wanted} and exponent {exponent}, got "
                             f"{tuple(latents.values.shape)} and {latents.exponent}")

    def read(self, name: str, layer: Layer | None = None) -> Carrier:
        """Tensor `name` of device memory: (C, H, W), or (C, H * W, 1) as a linear `layer` reads it.
        """
        spec = self._shapes[name]
        height, width = spec.height, spec.width
        if layer is not None and layer.multiply.op == "linear":
            height, width = spec.pixels, 1
        values = read_tensor(self.transport, self.program.config, self.program.tensors[name],
                             spec.channels, height, width)
        return Carrier(values, self._exponent(name))

    def _exponent(self, name: str) -> int:
        program = self._writers.get(name)
        table = (self.program.network.input_exponent if program is None
                 else program.parameters.base.output_exponent)
        return int(table[self._timestep])

    def _write(self, name: str, values: Tensor) -> None:
        write_tensor(self.transport, self.program.config, self.program.tensors[name], values)

    def host_operands(self, program: NodeProgram) -> list[Operands]:
        """What the host writes for each layer of the node, computed from device memory."""
        node, parameters, t = program.node, program.parameters, self._timestep
        count = len(program.layers)
        cut: Sequence[list[Carrier] | None] = [None] * count
        weights: Sequence[Tensor | None] = [None] * count
        factors: Sequence[Tensor | None] = [None] * count
        if staged_sources(node) or node.layer.store.stages.row_scale:
            sources = host_stages.prepared(
                node, parameters, [self._batched(name, node) for name in node.sources],
                [self._statistics[name] for name in node.sources], t)
            if staged_sources(node):
                cut = host_stages.head_sources(node, sources)
            if node.layer.store.stages.row_scale:
                factors = host_stages.head_factors(node, parameters, sources, t)
        if node.weights is not None:
            other = self.read(node.weights).values.flatten(1)
            weights = host_stages.head_weights(node, parameters, other, t)
        return [Operands(sources=s, weights=w, factors=f)
                for s, w, f in zip(cut, weights, factors, strict=True)]

    def _batched(self, name: str, node: Node) -> Carrier:
        carrier = self.read(name, node.layer)
        return Carrier(carrier.values.unsqueeze(0), carrier.exponent)

    def entry(self, program: NodeProgram) -> int:
        """TIMESTEP of the node's layers at the timestep and class of the run."""
        classes = program.node.layer.store.stages.classes
        return self._timestep * classes + (self._class if classes > 1 else 0)

    def _run_node(self, program: NodeProgram) -> NodeRun:
        begun, device, layers = time.perf_counter(), 0.0, self.layers[program.index]
        for layer, operands in zip(layers, self.host_operands(program), strict=True):
            layer.write(operands)
        runs = []
        for layer in layers:
            started = time.perf_counter()
            runs.append(layer.execute(self.entry(program)))
            device += time.perf_counter() - started
        self._finish(program)
        return NodeRun(program, tuple(runs), device, time.perf_counter() - begun - device)

    def _finish(self, program: NodeProgram) -> None:
        """Host stages of the store: the node's tensor, its statistics."""
        node = program.node
        if staged_output(node):
            gated = node.layer.store.stages.gate is not None
            second = self.read(node.second, node.layer) if gated and node.second else None
            values = host_stages.finished(
                node, program.parameters, [p.stored() for p in self.layers[program.index]],
                self._timestep, second)
            self._write(node.output, values)
        wanted = node.layer.store.stages.statistics
        self._statistics[node.output] = (
            host_stages.statistics(node, self.read(node.output).values) if wanted
            else Statistics())
