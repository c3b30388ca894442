"""The optional stages of a load: tensors in memory to the carriers that are rotated."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hqdm.golden.arithmetic.finish import group_affine, row_normalisation
from hqdm.golden.arithmetic.statistics import Statistics
from hqdm.golden.arithmetic.table import lookup
from hqdm.golden.carrier import Carrier
from hqdm.golden.load.affine import channel_affine, row_affine
from hqdm.golden.stages import LayerParameters
from hqdm.spec import Layer
from hqdm.spec.stages import EXP_EXPONENTS

SOFTMAX_SHIFT = 15      # R of softmax is 2**15


def prepare(layer: Layer, parameters: LayerParameters, sources: Sequence[Carrier],
            statistics: Sequence[Statistics], timestep: int) -> list[Carrier]:
    """Row affine, channel affine, table of the sources, each of exponent source_exponent[t].

    Without stages the sources come back as they are.

    Parameters
    ----------
    sources: (B, C_i, H, W) of the exponents `parameters.source_exponents[timestep]`.
    statistics: of each source, as its store gathered them.

    Raises
    ------
    ValueError: a source of another exponent.
    """
    wanted = parameters.source_exponents[timestep].tolist()
    got = [s.exponent for s in sources]
    if wanted != got:
        raise ValueError(f"{layer.name}: wanted sources of exponents {wanted} at timestep "
                         f"{timestep}, got {got}")
    stages = layer.load.stages
    if not stages.names:
        return list(sources)
    x = torch.cat([s.values for s in sources], dim=1).to(torch.int64)
    if stages.row == "softmax":
        x = _softmax(layer, x, sources[0].exponent, statistics[0])
    if stages.row == "layer_norm":
        x = _layer_norm(layer, parameters, x, statistics[0], timestep)
    if stages.channel != "none":
        scale, offset, shift = _channel(layer, parameters, statistics, timestep)
        x = channel_affine(x, scale.to(x.device), offset.to(x.device), shift)
    if stages.table is not None:
        x = lookup(stages.table, x)
    exponent = int(parameters.base.source_exponent[timestep])
    parts = x.to(torch.int16).split(list(layer.load.channels), dim=1)
    return [Carrier(part, exponent) for part in parts]


def _softmax(layer: Layer, x: Tensor, exponent: int, statistics: Statistics) -> Tensor:
    """x less the maximum of its row and head, in the exponent of the table of exp."""
    assert statistics.maximum is not None
    heads = layer.multiply.heads
    b, c, h, w = x.shape
    top = statistics.maximum.reshape(b * heads, h, w)
    y = row_affine(x.reshape(b * heads, c // heads, h, w), 1 << SOFTMAX_SHIFT,
                   -(top << SOFTMAX_SHIFT), SOFTMAX_SHIFT + exponent - EXP_EXPONENTS[0])
    return y.view(b, c, h, w)


def _layer_norm(layer: Layer, parameters: LayerParameters, x: Tensor, statistics: Statistics,
                t: int) -> Tensor:
    norm = parameters.row
    assert norm is not None and statistics.row is not None
    sums, squares = statistics.row.flatten(2)                           # (2, B, H, W) -> (B, P)
    scale, offset = row_normalisation(
        sums, squares, layer.load.total_channels, int(norm.epsilon[t]), int(norm.gain[t, 0]),
        int(norm.gain_shift[t]))
    shape = (x.shape[0], *x.shape[2:])
    return row_affine(x, scale.view(shape), offset.view(shape), int(norm.shift[t]))


def _channel(layer: Layer, parameters: LayerParameters, statistics: Sequence[Statistics],
             t: int) -> tuple[Tensor, Tensor, int]:
    """(A, B, shift), (C,) or (B, C)."""
    if layer.load.stages.channel == "static":
        static = parameters.affine
        assert static is not None
        return static.scale[t], static.offset[t], int(static.shift[t])
    norm = parameters.group
    assert norm is not None
    gathered = torch.cat([s.channel for s in statistics if s.channel is not None], 2)
    device = gathered.device
    exponents = parameters.source_exponents[t]
    drop = (exponents - exponents.min()).repeat_interleave(torch.tensor(layer.load.channels))
    scale, offset = group_affine(
        gathered[0], gathered[1], layer.load.height * layer.load.width, layer.load.stages.groups,
        drop.to(device), int(norm.epsilon[t]), norm.gain[t].to(device), int(norm.gain_shift[t]),
        norm.offset[t].to(device))
    return scale, offset, int(norm.shift[t])
