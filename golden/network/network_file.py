"""The integer network as a file: packed weights, tables and the list; and back, bit for bit.

What rounds real numbers (calibration, folded constants) has been done before: a file gives the
same bits on every machine.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hqdm.golden.network.interpreter import IntegerNetwork
from hqdm.golden.parameters import Parameters
from hqdm.golden.stages import Affine, LayerParameters, Normalisation
from hqdm.kit.bit_packing import pack, unpack
from hqdm.kit.check import check_dtype, check_range
from hqdm.kit.tensor_file import Checkpoint, load_checkpoint, save_checkpoint
from hqdm.spec import Layer, Network
from hqdm.spec.plain import from_plain, shown

KIND = "integers"
SHORT = ("bias", "base.bias")       # int16 in memory; everything else is int64
NUMBERS = ("base.channel_shift", "guard")
STORED = (torch.int8, torch.int16, torch.int32, torch.int64)
MAX_ELEMENTS = 1 << 26      # of a carrier: a network that asks for more is not read
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
    return network_of(load_checkpoint(path, KIND), path)


def network_of(read: Checkpoint, path: Path | str) -> tuple[IntegerNetwork, dict[str, Any]]:
    """As `load_network`, of a checkpoint that has been read from `path`.

    The table of what a layer has, with shapes and ranges, is `LayerParameters.check`, which a
    network must pass to be made, and so to be written, too.
    """
    try:
        head = from_plain(_Head, read.architecture)
        _check_network(head)
        _check_names(head.network, read.tensors)
        layers = [_layer(index, node.layer, numbers, read.tensors) for index, (node, numbers) in
                  enumerate(zip(head.network.nodes, head.numbers, strict=True))]
        exponents = _widened("input_exponent", read.tensors["input_exponent"], torch.int64)
        return IntegerNetwork(network=head.network, layers=tuple(layers),
                              input_exponent=exponents), read.training
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: {error}") from error


@dataclass(frozen=True, kw_only=True)
class _Head:
    """What the header holds: the list, and of each layer the numbers that are no tensors."""

    network: Network
    numbers: tuple[dict[str, Any], ...]


def _check_network(head: _Head) -> None:
    network = head.network
    if len(head.numbers) != len(network.nodes) or any(
            set(numbers) != set(NUMBERS) for numbers in head.numbers):
        raise ValueError(f"numbers: wanted {', '.join(NUMBERS)} of each of {len(network.nodes)} "
                         f"layers, got {shown(head.numbers)}")
    if network.host:
        raise ValueError(f"host: wanted a network without tensors of the host, got "
                         f"{len(network.host)}")
    for tensor in network.tensors:
        if tensor.channels * tensor.pixels > MAX_ELEMENTS:
            raise ValueError(f"tensor {tensor.name}: wanted at most {MAX_ELEMENTS} numbers, got "
                             f"{tensor.channels} x {tensor.height} x {tensor.width}")


def _check_names(network: Network, tensors: Mapping[str, Tensor]) -> None:
    """ValueError for the first tensor that is missing, or that no layer has."""
    wanted = {"input_exponent"} | {f"{index}.{name}" for index, node in enumerate(network.nodes)
                                   for name in _names(node.layer)}
    for name in sorted(wanted ^ set(tensors)):
        raise ValueError(f"{shown(name)[1:-1]}: wanted {'a' if name in wanted else 'no'} tensor of "
                         f"that name, got {'none' if name in wanted else 'one'}")


def _names(layer: Layer) -> set[str]:
    """Tensors of a layer."""
    stages = layer.load.stages
    parts = {"base": True, "row": stages.row == "layer_norm",
             "group": stages.channel == "group_norm", "affine": stages.channel == "static"}
    names = {f.name for f in fields(LayerParameters) if f.name not in _PARTS} | {
        f"{part}.{f.name}" for part, there in parts.items() if there
        for f in fields(_PARTS[part])}
    return names - set(NUMBERS) - ({"base.weights"} if layer.multiply.product != "none" else set())


def _layer(index: int, layer: Layer, numbers: dict[str, Any], tensors: Mapping[str, Tensor],
           ) -> LayerParameters:
    try:
        own: dict[str, Any] = {name: tensors[f"{index}.{name}"] for name in _names(layer)}
        packed = own.pop("base.weights", None)
        own = {name: _widened(name, t, torch.int16 if name in SHORT else torch.int64)
               for name, t in own.items()}
        own["base.weights"] = _weights(packed, layer)
        made = _unflatten(own | numbers)
        made.check(layer)
        return made
    except (ValueError, TypeError) as error:
        raise ValueError(f"{shown(layer.name)[1:-1]}: {error}") from error


def _widened(name: str, values: Tensor, dtype: torch.dtype) -> Tensor:
    """The signed integers of a file as `dtype`; TypeError for others, ValueError out of range."""
    if values.dtype not in STORED:
        raise TypeError(f"{name}: wanted signed integers, got "
                        f"{str(values.dtype).removeprefix('torch.')}")
    if dtype == torch.int16 and values.numel():
        check_range(name, values, -1 << 15, (1 << 15) - 1)
    return values.to(dtype)


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
    check_dtype("weights", packed, torch.uint8)
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
