"""The integer network as a file: packed weights, tables and the list; and back, bit for bit.

What rounds real numbers (calibration, folded constants) has been done before: a file gives the
same bits on every machine.
"""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hqdm.golden.network.interpreter import IntegerNetwork
from hqdm.golden.parameters import Parameters
from hqdm.golden.stages import Affine, LayerParameters, Normalisation
from hqdm.kit.bit_packing import pack, unpack
from hqdm.kit.tensor_file import Checkpoint, load_checkpoint, save_checkpoint
from hqdm.spec import Layer, Network
from hqdm.spec.plain import from_plain

KIND = "integers"
SHORT = ("bias", "base.bias")       # int16 in memory; everything else is int64
_PARTS: dict[str, type[Any]] = {
    "base": Parameters, "row": Normalisation, "group": Normalisation, "affine": Affine}


def save_network(path: Path, network: IntegerNetwork, about: dict[str, Any]) -> str:
    """Write `network`; `about` (plain data) says where it comes from. Returns the digest."""
    tensors = {"input_exponent": _narrow(network.input_exponent)}
    numbers: list[dict[str, int]] = []
    for index, (node, layer) in enumerate(zip(network.network.nodes, network.layers, strict=True)):
        own, whole = _flatten(layer)
        weights = own.pop("base.weights")
        tensors |= {f"{index}.{name}": _narrow(t) for name, t in own.items()}
        if node.weights is None:
            tensors[f"{index}.base.weights"] = pack(
                weights.to(torch.int8), node.layer.multiply.bits)
        numbers.append(whole)
    plain = asdict(network.network)
    if not plain["mirrored"]:       # the bytes of files that are older than the field
        del plain["mirrored"]
    architecture = {"network": plain, "numbers": numbers}
    return save_checkpoint(path, Checkpoint(
        kind=KIND, architecture=architecture, tensors=tensors, training=about))


def load_network(path: Path) -> tuple[IntegerNetwork, dict[str, Any]]:
    """The network of `path` and what was said about it.

    Raises
    ------
    FileNotFoundError, ValueError: no file, a damaged, altered or foreign one.
    """
    return network_of(load_checkpoint(path, KIND))


def network_of(read: Checkpoint) -> tuple[IntegerNetwork, dict[str, Any]]:
    """As `load_network`, of a checkpoint that has been read."""
    network = from_plain(Network, read.architecture["network"])
    layers = []
    for index, (node, numbers) in enumerate(
            zip(network.nodes, read.architecture["numbers"], strict=True)):
        prefix = f"{index}."
        own: dict[str, Any] = {k.removeprefix(prefix): t for k, t in read.tensors.items()
                               if k.startswith(prefix)}
        packed = own.pop("base.weights", None)
        own = {k: t.to(torch.int16 if k in SHORT else torch.int64) for k, t in own.items()}
        own["base.weights"] = _weights(packed, node.layer)
        layer = _unflatten(own | numbers)
        layer.check(node.layer)
        layers.append(layer)
    return IntegerNetwork(network=network, layers=tuple(layers),
                          input_exponent=read.tensors["input_exponent"].long()), read.training


def _narrow(values: Tensor) -> Tensor:
    """A copy in the smallest integer type that holds every value."""
    low, high = (int(v) for v in values.aminmax())
    for dtype in (torch.int8, torch.int16, torch.int32):
        info = torch.iinfo(dtype)
        if info.min <= low and high <= info.max:
            return values.to(dtype).clone(memory_format=torch.contiguous_format)
    return values.clone(memory_format=torch.contiguous_format)


def _weights(packed: Tensor | None, layer: Layer) -> Tensor:
    """int16 weights of a layer; none for a product."""
    m = layer.multiply
    if packed is None:
        return torch.zeros(0, dtype=torch.int16)
    shape = (m.out_channels, layer.load.total_channels, m.kernel, m.kernel)
    return unpack(packed, m.bits, shape).to(torch.int16)


def _flatten(layer: LayerParameters) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Tensors and numbers by dotted name; absent parts are left out."""
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, int] = {}
    for field in fields(layer):
        value = getattr(layer, field.name)
        parts = {field.name: value} if field.name not in _PARTS or value is None else {
            f"{field.name}.{f.name}": getattr(value, f.name) for f in fields(value)}
        for name, part in parts.items():
            if isinstance(part, Tensor):
                tensors[name] = part
            elif part is not None:
                numbers[name] = part
    return tensors, numbers


def _unflatten(values: dict[str, Any]) -> LayerParameters:
    own: dict[str, Any] = {f.name: values.get(f.name) for f in fields(LayerParameters)}
    for name, kind in _PARTS.items():
        part = {k.removeprefix(f"{name}."): v for k, v in values.items()
                if k.startswith(f"{name}.")}
        own[name] = kind(**part) if part else None
    return LayerParameters(**own)
