"""The integer network: every layer of the list, integers from the latent to the noise."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from hqdm.golden.arithmetic.statistics import Statistics, gather
from hqdm.golden.carrier import MAX_EXPONENT, Carrier
from hqdm.golden.load.operands import check_timestep, load_operands
from hqdm.golden.load.prepare import prepare
from hqdm.golden.multiply.convolution import partial_sums
from hqdm.golden.multiply.product import product_sums
from hqdm.golden.stages import LayerParameters
from hqdm.golden.store.outputs import store_staged
from hqdm.kit.check import check_dtype, check_range, check_tensor
from hqdm.spec import Layer, Network, Node
from hqdm.spec.fixed import CARRIER


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor in memory and the statistics gathered when it was stored."""

    carrier: Carrier
    statistics: Statistics


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerNetwork:
    """A network and the integers of its layers.

    The bits of a result depend on its own image, timestep and class only: not on the rest of the
    batch, the number of threads or the machine.

    Parameters
    ----------
    layers: one per node, in order.
    input_exponent: int64 [T], exponents of the latent.

    Raises
    ------
    TypeError, ValueError: parameters that do not fit the nodes.
    """

    network: Network
    layers: tuple[LayerParameters, ...]
    input_exponent: Tensor

    def __post_init__(self) -> None:
        nodes = self.network.nodes
        if len(self.layers) != len(nodes):
            raise ValueError(f"network {self.network.name}: wanted {len(nodes)} layers, got "
                             f"{len(self.layers)}")
        for node, layer in zip(nodes, self.layers, strict=True):
            layer.check(node.layer)
        check_tensor("input_exponent", self.input_exponent, torch.int64, (self.network.timesteps,))
        check_range("input_exponent", self.input_exponent, -MAX_EXPONENT, MAX_EXPONENT)

    def __call__(self, latents: Tensor, timestep: int, classes: Tensor | None = None) -> Tensor:
        """Noise, float32 (B, C, H, W), for float `latents`: `encode`, `run`, `decode`."""
        return self.decode(self.run(self.encode(latents, timestep), timestep, classes))

    def encode(self, latents: Tensor, timestep: int) -> Carrier:
        """The border: sat16(latents * 2**f rounded to nearest, ties to even), see `turned`."""
        exponent = int(self.input_exponent[timestep])
        scaled = torch.ldexp(latents.to(torch.float64), torch.tensor(exponent)).round()
        values = scaled.clamp(CARRIER.low, CARRIER.high).to(torch.int16)
        return Carrier(turned(self.network, values), exponent)

    def decode(self, output: Carrier) -> Tensor:
        """The other border: float32 of the output carrier, see `turned`."""
        return turned(self.network, output.to_float().float())

    def run(self, latents: Carrier, timestep: int, classes: Tensor | None = None) -> Carrier:
        """The output carrier; integers only. `classes`: int64 [B], zeros by default."""
        output = None
        for _, carrier in self.trace(latents, timestep, classes):
            output = carrier
        assert output is not None
        return output

    def trace(self, latents: Carrier, timestep: int, classes: Tensor | None = None,
              ) -> Iterator[tuple[Node, Carrier]]:
        """Each node with its output, the network's last.

        Raises
        ------
        TypeError, ValueError: a latent of another shape or exponent, a timestep or a class that
            the tables do not have.
        """
        classes = self._check(latents, timestep, classes)
        memory = {self.network.input: Stored(latents, Statistics())}
        shapes = {t.name: t for t in self.network.tensors}
        for (node, dead), parameters in zip(self.network.last_reads(), self.layers, strict=True):
            y = run_node(node, parameters, memory, timestep, classes)
            spec = shapes[node.output]
            values = y.values.reshape(-1, spec.channels, spec.height, spec.width)
            carrier = Carrier(values, y.exponent)
            stages = node.layer.store.stages
            memory[node.output] = Stored(carrier, gather(
                values.to(torch.int64), stages.statistics, node.layer.multiply.heads))
            for name in dead:
                del memory[name]
            yield node, carrier

    def _check(self, latents: Carrier, timestep: int, classes: Tensor | None) -> Tensor:
        spec = self.network.tensor(self.network.input)
        check_timestep(self.network.nodes[0].layer, timestep)
        shape = tuple(latents.values.shape)
        if len(shape) != 4 or shape[1:] != (spec.channels, spec.height, spec.width):
            raise ValueError(f"latent: wanted shape (B, {spec.channels}, {spec.height}, "
                             f"{spec.width}), got {shape}")
        if latents.exponent != int(self.input_exponent[timestep]):
            raise ValueError(f"latent: wanted exponent {int(self.input_exponent[timestep])}, got "
                             f"{latents.exponent}")
        if classes is None:
            return torch.zeros(shape[0], dtype=torch.int64, device=latents.values.device)
        check_dtype("classes", classes, torch.int64)
        if tuple(classes.shape) != shape[:1]:
            raise ValueError(f"classes: wanted shape {shape[:1]}, got {tuple(classes.shape)}")
        check_range("classes", classes, 0, self.network.classes - 1)
        return classes.to(latents.values.device)


def turned(network: Network, values: Tensor) -> Tensor:
    """`values` (.., H, W) of the model as `network` has them, or back: turned by 180 degrees if it
    is mirrored."""
    return values.flip(-2, -1) if network.mirrored else values


def _shaped(values: Tensor, layer: Layer) -> Tensor:
    """Pixels as the layer's rows: (B, C, H, W) -> (B, C, H * W, 1) for linear layers."""
    return values.flatten(2).unsqueeze(3) if layer.multiply.op == "linear" else values


def _view(stored: Stored, layer: Layer) -> tuple[Carrier, Statistics]:
    carrier = Carrier(_shaped(stored.carrier.values, layer), stored.carrier.exponent)
    return carrier, stored.statistics


def run_node(node: Node, parameters: LayerParameters, memory: dict[str, Stored], timestep: int,
             classes: Tensor) -> Carrier:
    """One layer with its stages: load, multiply, store."""
    layer = node.layer
    views = [_view(memory[s], layer) for s in node.sources]
    prepared = prepare(layer, parameters, [v[0] for v in views], [v[1] for v in views], timestep)
    operands = load_operands(layer, parameters.base, prepared, timestep)
    totals = None
    if node.weights is None:
        acc = partial_sums(layer, parameters.base, operands)
    else:
        other = memory[node.weights].carrier.values.flatten(2)
        acc, totals = product_sums(layer, parameters, operands, other, timestep)
    second = None if node.second is None else _view(memory[node.second], layer)[0]
    return store_staged(layer, parameters, acc, timestep, classes, second, totals)
