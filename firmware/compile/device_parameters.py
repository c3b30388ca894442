"""Parameters of the layers the core runs, made of those of a network's node."""

from dataclasses import fields, replace
from typing import Any

import torch

from hqdm.golden.parameters import Parameters
from hqdm.golden.stages import LayerParameters
from hqdm.spec.network import Node

NO_WEIGHTS = torch.zeros(0, dtype=torch.int16)


def device_parameters(node: Node, parameters: LayerParameters) -> tuple[Parameters, ...]:
    """One set per layer of `hqdm.spec.device_layers.device_layers(node)`.

    With a bias that depends on the class every table has an entry per timestep and class,
    `timestep * classes + class`. A head of a product has no weights (an empty tensor): the host
    writes its second operand before each run.
    """
    classes = node.layer.store.stages.classes
    base = parameters.base
    if node.weights is None:
        return (replace(_repeated(base, classes), bias=parameters.bias.flatten(0, 1)),)
    heads = node.layer.multiply.heads
    size = node.layer.multiply.out_channels // heads
    return tuple(replace(
        base, weights=NO_WEIGHTS, multipliers=base.multipliers[h * size:(h + 1) * size],
        bias=base.bias[:, h * size:(h + 1) * size]) for h in range(heads))


def _repeated(base: Parameters, classes: int) -> Parameters:
    """Tables of T entries -> T * classes; weights, multipliers and bias as they are."""
    tables: dict[str, Any] = {
        field.name: getattr(base, field.name).repeat_interleave(classes) for field in fields(base)
        if field.name not in ("weights", "multipliers", "bias", "channel_shift")}
    return replace(base, **tables)
