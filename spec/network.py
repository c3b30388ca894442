"""A network is a list of layers and the tensors between them; one list, three readers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from hqdm.spec.layer import Layer
from hqdm.spec.stages import PLAIN_LOAD, LoadStages, Statistic

HostKind = Literal["average", "repeat", "constant", "join"]


@dataclass(frozen=True, kw_only=True)
class TensorSpec:
    """An int16 carrier in memory: [height][width][channels].

    Rows of a linear layer are its pixels in order, so (C, H, W) and (C, H * W, 1) are the same
    bytes.
    """

    name: str
    channels: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.channels, self.height, self.width) < 1:
            raise ValueError(f"tensor {self.name}: wanted positive sizes, got "
                             f"{self.channels} x {self.height} x {self.width}")

    @property
    def pixels(self) -> int:
        return self.height * self.width


@dataclass(frozen=True, kw_only=True)
class Node:
    """A layer and the tensors it reads and writes.

    Parameters
    ----------
    sources: names of the tensors the load reads, one per entry of `layer.load.channels`.
    output: name of the tensor the store writes.
    second: name of the residual operand, exactly if the layer has a residual.
    weights: name of the tensor that takes the place of the weights, exactly for a product.
    """

    layer: Layer
    sources: tuple[str, ...]
    output: str
    second: str | None = None
    weights: str | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """Every tensor the node reads."""
        return tuple(n for n in (*self.sources, self.second, self.weights) if n is not None)


@dataclass(frozen=True, kw_only=True)
class HostTensor:
    """A tensor the host makes, as soon as its source is written.

    Parameters
    ----------
    output: name of the tensor.
    kind: "average" of each 2 x 2 pixels of the source; "repeat" of each pixel as 2 x 2; "constant",
        the same in every step; "join" of constant rows and the pixels of the source.
    source: name of the tensor it is made of; None exactly for a constant.
    stages: applied to the source first.
    """

    output: str
    kind: HostKind
    source: str | None = None
    stages: LoadStages = PLAIN_LOAD


def _fits(layer: Layer, tensor: TensorSpec, height: int, width: int) -> bool:
    """Whether `tensor` has the size; linear layers read pixels as rows."""
    if layer.multiply.op == "linear":
        return tensor.pixels == height * width
    return (tensor.height, tensor.width) == (height, width)


@dataclass(frozen=True, kw_only=True)
class Network:
    """An ordered list of layers, valid by construction.

    Parameters
    ----------
    tensors: every carrier, the input's first.
    nodes: the layers in order of execution.
    input, output: names of the tensors that enter and leave.
    timesteps: entries of every per-timestep table.
    classes: classes the biases may depend on, 1 if there are none.
    host: tensors the host makes; only networks of shapes (hqdm.firmware.catalogue) have any.
    mirrored: every tensor holds the image turned by 180 degrees, and kernels are turned with it:
        zeros that a model has at the bottom and right are then at the top and left.

    Raises
    ------
    ValueError: names that are unknown, written twice or read before they are written; shapes
        that do not fit; statistics that a normalisation needs and its source does not gather.
    """

    name: str
    tensors: tuple[TensorSpec, ...]
    nodes: tuple[Node, ...]
    input: str
    output: str
    timesteps: int
    classes: int = 1
    host: tuple[HostTensor, ...] = ()
    mirrored: bool = False

    def __post_init__(self) -> None:
        known = {t.name: t for t in self.tensors}
        if len(known) != len(self.tensors):
            raise ValueError(f"network {self.name}: wanted tensors of different names")
        gathered: dict[str, tuple[Statistic, ...]] = {self.input: ()}
        gathered |= {h.output: () for h in self.host if h.source is None}
        for node in self.nodes:
            self._check_node(node, known, gathered)
            gathered[node.output] = node.layer.store.stages.statistics
            gathered |= {h.output: () for h in self.host if h.source == node.output}
        for host in self.host:
            self._check_host(host, known, gathered)
        if not self.nodes or self.output not in gathered or not {
                self.input, self.output} <= set(known):
            raise ValueError(f"network {self.name}: wanted input {self.input!r} and output "
                             f"{self.output!r} among its tensors")

    def _check_host(self, host: HostTensor, known: dict[str, TensorSpec],
                    gathered: dict[str, tuple[Statistic, ...]]) -> None:
        made = known.get(host.output)
        if host.kind == "constant" and host.source is None and made is not None:
            return
        source = known.get(host.source or "")
        if made is None or source is None or source.name not in gathered:
            raise ValueError(f"{host.output}: wanted a declared tensor made of another, got "
                             f"{host.kind} of {host.source!r}")
        if host.kind == "join":
            if made.channels != source.channels or made.pixels <= source.pixels:
                raise ValueError(f"{host.output}: wanted more rows than the pixels of {source}, "
                                 f"got {made}")
            return
        wide, narrow = (made, source) if host.kind == "repeat" else (source, made)
        if (wide.channels, wide.height, wide.width) != (
                narrow.channels, 2 * narrow.height, 2 * narrow.width):
            raise ValueError(f"{host.output}: wanted the {host.kind} of 2 x 2 pixels of "
                             f"{source}, got {made}")
        missing = [s for s in host.stages.needs if s not in gathered[source.name]]
        if missing:
            raise ValueError(f"{host.output}: wanted {source.name!r} stored with its "
                             f"{missing[0]} statistics, got {gathered[source.name]}")

    def _check_node(self, node: Node, known: dict[str, TensorSpec],
                    gathered: dict[str, tuple[Statistic, ...]]) -> None:
        layer, load = node.layer, node.layer.load
        for name in node.reads:
            if name not in gathered or name not in known:
                raise ValueError(f"{layer.name}: wanted a tensor that is already written, got "
                                 f"{name!r}")
        if node.output in gathered or node.output not in known:
            raise ValueError(f"{layer.name}: wanted a declared tensor that is not yet written, "
                             f"got {node.output!r}")
        if tuple(known[s].channels for s in node.sources) != load.channels or not all(
                _fits(layer, known[s], load.height, load.width) for s in node.sources):
            raise ValueError(f"{layer.name}: wanted sources of {load.channels} channels, "
                             f"{load.height} x {load.width}, got {node.sources}")
        self._check_output(node, known)
        for source in node.sources:
            missing = [s for s in load.stages.needs if s not in gathered[source]]
            if missing:
                raise ValueError(f"{layer.name}: wanted {source!r} stored with its "
                                 f"{missing[0]} statistics, got {gathered[source]}")

    def _check_output(self, node: Node, known: dict[str, TensorSpec]) -> None:
        layer = node.layer
        for name in (node.output, node.second):
            if name is None:
                continue
            tensor = known[name]
            if tensor.channels != layer.stored_channels or not _fits(
                    layer, tensor, layer.out_height, layer.out_width):
                raise ValueError(
                    f"{layer.name}: wanted {name!r} of {layer.stored_channels} channels, "
                    f"{layer.out_height} x {layer.out_width}, got {tensor}")
        if (node.second is None) != (layer.store.residual == "none"):
            raise ValueError(f"{layer.name}: wanted a second operand exactly for a residual, got "
                             f"{node.second!r}")
        if (node.weights is None) != (layer.multiply.product == "none"):
            raise ValueError(f"{layer.name}: wanted a tensor of weights exactly for a product, "
                             f"got {node.weights!r}")
        if layer.timesteps != self.timesteps:
            raise ValueError(f"{layer.name}: wanted {self.timesteps} timesteps, got "
                             f"{layer.timesteps}")
        if layer.store.stages.classes not in (1, self.classes):
            raise ValueError(f"{layer.name}: wanted 1 or {self.classes} classes, got "
                             f"{layer.store.stages.classes}")

    def tensor(self, name: str) -> TensorSpec:
        """The tensor called `name`; KeyError if there is none."""
        return {t.name: t for t in self.tensors}[name]

    def last_reads(self) -> Iterator[tuple[Node, tuple[str, ...]]]:
        """Each node with the tensors that nothing after it reads (the output is kept)."""
        seen = {self.output}
        freed: list[tuple[Node, tuple[str, ...]]] = []
        for node in reversed(self.nodes):
            names = dict.fromkeys((*node.reads, node.output))
            freed.append((node, tuple(n for n in names if n not in seen)))
            seen.update(names)
        yield from reversed(freed)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one call for one image."""
        return sum(node.layer.macs for node in self.nodes)
