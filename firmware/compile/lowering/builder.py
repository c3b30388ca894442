"""Collects layers, tensors and real numbers, and makes the network of them."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from hqdm.firmware.compile.lowering.prologue import PLAIN, SOFTMAX, Prologue, float64
from hqdm.learn.calibration.real import RealLayer, RealNetwork
from hqdm.learn.calibration.source import Quantisation, quantise_weights
from hqdm.spec import (
    HostTensor,
    Layer,
    Load,
    LoadStages,
    Multiply,
    Network,
    Node,
    Store,
    StoreStages,
    TensorSpec,
)
from hqdm.spec.layer import Op, Product
from hqdm.spec.network import HostKind
from hqdm.spec.precision import Format, Formats, with_format, with_formats
from hqdm.spec.stages import PLAIN_LOAD, Statistic, Table

NO_BIAS = torch.zeros(1, 1, 1, dtype=torch.float64)


class Builder:
    """The network under construction.

    Members
    -------
    shapes: whether the network may have what only a network of shapes has.

    Parameters
    ----------
    formats: bits and rotation by role, in which weights are rounded; not for trained networks.
    quantisation: trained integers and steps by module name, or None.
    mirrored: turn every kernel by 180 degrees, see `Network`.
    runs: of a model on torch's meta device, whose numbers are meta tensors: whether the network is
        to be one that runs, and not one of shapes.
    """

    def __init__(self, model: Any, timesteps: int, classes: int, formats: Formats,
                 quantisation: Quantisation | None, mirrored: bool = False,
                 runs: bool = False) -> None:
        self.timesteps, self.classes, self.mirrored = timesteps, classes, mirrored
        self.device = "meta" if next(model.parameters()).is_meta else "cpu"
        self.shapes = self.device == "meta" and not runs
        self._formats, self._quantisation = formats, quantisation
        self._names: dict[int, list[str]] = {}
        for name, module in model.named_modules(remove_duplicate=False):
            self._names.setdefault(id(module), []).append(name)
        self.tensors: dict[str, TensorSpec] = {}
        self._nodes: list[Node] = []
        self._host: list[HostTensor] = []
        self._reals: list[RealLayer] = []

    def name(self, module: nn.Module) -> str:
        """The module's name within the model."""
        return self._names[id(module)][0]

    def tensor(self, name: str, channels: int, height: int, width: int) -> str:
        """Declare a tensor and return its name."""
        self.tensors[name] = TensorSpec(name=name, channels=channels, height=height, width=width)
        return name

    def constant(self, bias: Tensor | None, channels: int) -> Tensor:
        """A module's bias (or zeros), float64 [T, 1, O]."""
        row = torch.zeros(channels, device=self.device) if bias is None else bias
        return float64(row).expand(self.timesteps, 1, channels)

    def host(self, name: str, kind: HostKind, source: str | None, shape: tuple[int, int, int],
             stages: LoadStages = PLAIN_LOAD) -> str:
        """A tensor of (channels, height, width) that the host makes; returns its name."""
        self._host.append(HostTensor(output=name, kind=kind, source=source, stages=stages))
        return self.tensor(name, *shape)

    def _trained(self, module: nn.Module) -> tuple[Layer, RealLayer] | None:
        if self._quantisation is None:
            return None
        for name in self._names[id(module)]:
            if name in self._quantisation.modules:
                return self._quantisation.modules[name]
        raise ValueError(f"quantisation: wanted an entry for {self.name(module)!r}, got none")

    def steps(self, attention: str) -> dict[str, Tensor | None]:
        """Steps of an attention: "queries", "keys", "values", "probabilities"; None if unknown."""
        found = self._quantisation.attentions.get(attention) if self._quantisation else None
        names = ("queries", "keys", "values", "probabilities")
        return {name: getattr(found, name) if found else None for name in names}

    def module(self, module: Any, sources: tuple[str, ...], *, prologue: Prologue = PLAIN,
               linear: bool = False, bias: Tensor | None = None, upsample: int = 1,
               padding: int | None = None, second: str | None = None,
               gate: Table | None = None) -> str:
        """A Conv2d or Linear, or what replaced it; returns its output.

        Parameters
        ----------
        linear: treat a 1x1 convolution as a linear layer.
        bias: float64 [T, K, O], replaces the module's own. padding: replaces the module's own.
        """
        known, name = self._trained(module), self.name(module)
        fmt = Format()
        if known is None:
            multiply, real = self._float(name, module)
        else:
            (layer, real), load = known, known[0].load
            multiply = layer.multiply
            fmt = Format(weight_bits=multiply.bits, activation_bits=load.bits, axis=load.axis,
                         order=load.order, ranged=load.ranged)
            self._check_turned(name, fmt)
        if padding is not None:
            multiply = replace(multiply, padding=padding)
        own = module.bias if isinstance(module.bias, Tensor) else None
        total = self.constant(own, multiply.out_channels) if bias is None else bias
        real = replace(self._turned(real), bias=total, gamma=prologue.gamma, beta=prologue.beta,
                       epsilon=prologue.epsilon)
        if linear:
            multiply = replace(multiply, op="linear")
        return self._add(name, sources, fmt, multiply, real, prologue, upsample, second=second,
                         gate=gate)

    def _turned(self, real: RealLayer) -> RealLayer:
        """`real`, its kernel by 180 degrees if the network is mirrored."""
        if not self.mirrored:
            return real
        weights, integers = (None if kernel is None else kernel.flip(-2, -1)
                             for kernel in (real.weights, real.integers))
        return replace(real, weights=weights, integers=integers)

    def _check_turned(self, name: str, fmt: Format) -> None:
        """A rotated row that is turned has some of its rotated values negative."""
        if self.mirrored and fmt.ranged and fmt.axis == "width" and fmt.order:
            raise ValueError(f"{name}: wanted symmetric bounds or another axis than the width "
                             "beside downsample_padding 0, got free bounds along the width")

    def shift(self, tensor: str, constant: Tensor) -> None:
        """Add `constant`, float64 [T, K, O], to a tensor that nothing has read yet: to the bias of
        the layer that writes it."""
        if any(tensor in node.reads for node in self._nodes):
            raise ValueError(f"{tensor}: wanted a tensor that nothing reads yet")
        index = next(i for i, node in enumerate(self._nodes) if node.output == tensor)
        node, real = self._nodes[index], self._reals[index]
        bias = real.bias + constant
        store = node.layer.store
        store = replace(store, stages=replace(store.stages, classes=bias.shape[1]))
        self._nodes[index] = replace(node, layer=replace(node.layer, store=store))
        self._reals[index] = replace(real, bias=bias)

    def _float(self, name: str, module: Any) -> tuple[Multiply, RealLayer]:
        """A float module; its format is known, and its weights rounded, at the end."""
        weights = float64(module.weight)
        weights = weights if weights.dim() == 4 else weights[:, :, None, None]
        stride, padding = _geometry(module)
        return Multiply(op=_op(name, module, weights), out_channels=weights.shape[0],
                        stride=stride, padding=padding), RealLayer(weights=weights, bias=NO_BIAS)

    def product(self, name: str, product: Product, source: str, weights: str, *, heads: int,
                gain: float = 1.0, steps: Tensor | None, weight_steps: Tensor | None) -> str:
        """An activation x activation product: scores (queries, keys) or mix (scores, values)."""
        keys = self.tensors[weights]
        channels = heads * keys.pixels if product == "scores" else keys.channels
        real = RealLayer(bias=self.constant(None, channels), gain=gain, steps=steps,
                         weight_steps=weight_steps)
        prologue = SOFTMAX if product == "mix" else PLAIN
        try:
            multiply = Multiply(op="linear", out_channels=channels, bits=8, product=product,
                                heads=heads)
            return self._add(name, (source,), Format(), multiply, real, prologue, 1,
                             weights=weights)
        except ValueError as error:
            raise ValueError(f"{name}: {keys.pixels:,} keys are more than the core takes, a "
                             f"smaller size has fewer: {error}") from error

    def _add(self, name: str, sources: tuple[str, ...], fmt: Format, multiply: Multiply,
             real: RealLayer, prologue: Prologue, upsample: int, *, second: str | None = None,
             gate: Table | None = None, weights: str | None = None) -> str:
        first = self.tensors[sources[0]]
        linear = multiply.op == "linear"
        height, width = (first.pixels, 1) if linear else (first.height, first.width)
        load = Load(channels=tuple(self.tensors[s].channels for s in sources), height=height,
                    width=width, upsample=upsample, stages=prologue.stages(len(sources)))
        layer = with_format(Layer(
            name=name, load=load, multiply=multiply,
            store=Store(residual="none" if second is None else "add", stages=StoreStages(
                row_scale=multiply.product == "mix", gate=gate, classes=real.bias.shape[1])),
            timesteps=self.timesteps), fmt)
        shape = (first.height, first.width) if linear else (layer.out_height, layer.out_width)
        output = self.tensor(name, layer.stored_channels, *shape)
        self._nodes.append(Node(layer=layer, sources=sources, output=output, second=second,
                                weights=weights))
        self._reals.append(real)
        return output

    def finish(self, name: str, source: str, output: str) -> RealNetwork:
        """The network; every tensor is stored with the statistics its readers need."""
        needs: dict[str, set[Statistic]] = {t: set() for t in self.tensors}
        for node in self._nodes:
            for tensor in node.sources:
                needs[tensor] |= set(node.layer.load.stages.needs)
        for host in self._host:
            if host.source is not None:
                needs[host.source] |= set(host.stages.needs)
        nodes = []
        for node in self._nodes:
            store = node.layer.store
            statistics = tuple(sorted(needs[node.output]))
            nodes.append(replace(node, layer=replace(node.layer, store=replace(
                store, stages=replace(store.stages, statistics=statistics)))))
        network = Network(name=name, tensors=tuple(self.tensors.values()), nodes=tuple(nodes),
                          input=source, output=output, timesteps=self.timesteps,
                          classes=self.classes, host=tuple(self._host),
                          mirrored=self.mirrored)
        if self._quantisation is None:
            return self._rounded(with_formats(network, self._formats))
        return RealNetwork(network=network, layers=tuple(self._reals))

    def _rounded(self, network: Network) -> RealNetwork:
        """The network with every float weight rounded to the bits of its layer."""
        layers = list(self._reals)
        for index, (node, real) in enumerate(zip(network.nodes, layers, strict=True)):
            if real.weights is not None and self.device != "meta":
                integers, scale = quantise_weights(real.weights, node.layer.multiply.bits)
                layers[index] = replace(real, integers=integers, scale=scale)
        return RealNetwork(network=network, layers=tuple(layers))


def _op(name: str, module: nn.Module, weights: Tensor) -> Op:
    """The operation of a module; ValueError for a kernel the core does not have."""
    if isinstance(module, nn.Linear):
        return "linear"
    kernels: dict[tuple[int, ...], Op] = {(1, 1): "conv1x1", (3, 3): "conv3x3"}
    if tuple(weights.shape[2:]) not in kernels:
        raise ValueError(f"{name}: wanted a kernel of 1x1 or 3x3, got {tuple(weights.shape[2:])}")
    return kernels[tuple(weights.shape[2:])]


def _geometry(module: nn.Module) -> tuple[int, int]:
    """(stride, padding) of a convolution; (1, 0) of a linear layer."""
    if not isinstance(module, nn.Conv2d):
        return 1, 0
    for what in ("stride", "padding", "dilation"):
        pair = getattr(module, what)
        if not isinstance(pair, tuple) or pair[0] != pair[1]:
            raise ValueError(f"convolution {what}: wanted two equal numbers, got {pair!r}")
    if module.dilation[0] != 1 or module.groups != 1 or module.padding_mode != "zeros":
        raise ValueError(f"convolution: wanted no dilation, groups or padding mode, got {module}")
    return module.stride[0], int(module.padding[0])
