"""The optional stages of a load: tensors in memory to the carriers that are rotated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hqdm.golden.arithmetic.finish import group_affine, row_normalisation
from hqdm.golden.arithmetic.statistics import Statistics
from hqdm.golden.arithmetic.table import lookup
from hqdm.golden.carrier import Carrier
from hqdm.golden.load.affine import channel_affine, row_affine
from hqdm.golden.stages import LayerParameters
from hqdm.spec import Layer
from hqdm.spec.stages import EXP_EXPONENTS, LOAD, asked

SOFTMAX_SHIFT = 15      # R of softmax is 2**15


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadInputs:
    """What the optional stages of a load read besides the carriers, at one timestep.

    Members
    -------
    layer, parameters, timestep: whose load it is.
    exponent: of the first source.
    statistics: of each source, as its store gathered them.
    """

    layer: Layer
    parameters: LayerParameters
    timestep: int
    exponent: int
    statistics: Sequence[Statistics]


def prepare(layer: Layer, parameters: LayerParameters, sources: Sequence[Carrier],
            statistics: Sequence[Statistics], timestep: int) -> list[Carrier]:
    """The stages of `hqdm.spec.stages.LOAD` that the layer asks for.

    The carriers have the exponent source_exponent[t]. Without any stage the sources come back as
    they are.

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
    stages = asked(LOAD, layer.load)
    if not stages:
        return list(sources)
    inputs = LoadInputs(layer=layer, parameters=parameters, timestep=timestep, exponent=got[0],
                        statistics=statistics)
    x = torch.cat([s.values for s in sources], dim=1).to(torch.int64)
    for stage in stages:
        x = APPLY[stage.name](x, inputs)
    exponent = int(parameters.base.source_exponent[timestep])
    parts = x.to(torch.int16).split(list(layer.load.channels), dim=1)
    return [Carrier(part, exponent) for part in parts]


def _row_affine(x: Tensor, i: LoadInputs) -> Tensor:
    if i.layer.load.stages.row == "softmax":
        return _softmax(x, i)
    return _layer_norm(x, i)


def _softmax(x: Tensor, i: LoadInputs) -> Tensor:
    """x less the maximum of its row and head, in the exponent of the table of exp."""
    maximum = i.statistics[0].maximum
    assert maximum is not None
    heads = i.layer.multiply.heads
    b, c, h, w = x.shape
    top = maximum.reshape(b * heads, h, w)
    y = row_affine(x.reshape(b * heads, c // heads, h, w), 1 << SOFTMAX_SHIFT,
                   -(top << SOFTMAX_SHIFT), SOFTMAX_SHIFT + i.exponent - EXP_EXPONENTS[0])
    return y.view(b, c, h, w)


def _layer_norm(x: Tensor, i: LoadInputs) -> Tensor:
    norm, gathered, t = i.parameters.row, i.statistics[0].row, i.timestep
    assert norm is not None and gathered is not None
    sums, squares = gathered.flatten(2)                           # (2, B, H, W) -> (B, P)
    scale, offset = row_normalisation(
        sums, squares, i.layer.load.total_channels, int(norm.epsilon[t]), int(norm.gain[t, 0]),
        int(norm.gain_shift[t]))
    shape = (x.shape[0], *x.shape[2:])
    return row_affine(x, scale.view(shape), offset.view(shape), int(norm.shift[t]))


def _channel_affine(x: Tensor, i: LoadInputs) -> Tensor:
    scale, offset, shift = _static(i) if i.layer.load.stages.channel == "static" else _group(i)
    return channel_affine(x, scale.to(x.device), offset.to(x.device), shift)


def _static(i: LoadInputs) -> tuple[Tensor, Tensor, int]:
    """(A, B, shift), each (C,)."""
    static, t = i.parameters.affine, i.timestep
    assert static is not None
    return static.scale[t], static.offset[t], int(static.shift[t])


def _group(i: LoadInputs) -> tuple[Tensor, Tensor, int]:
    """(A, B, shift) of a GroupNorm, each (B, C)."""
    norm, load, t = i.parameters.group, i.layer.load, i.timestep
    assert norm is not None
    gathered = torch.cat([s.channel for s in i.statistics if s.channel is not None], 2)
    device = gathered.device
    exponents = i.parameters.source_exponents[t]
    drop = (exponents - exponents.min()).repeat_interleave(torch.tensor(load.channels))
    scale, offset = group_affine(
        gathered[0], gathered[1], load.height * load.width, load.stages.groups,
        drop.to(device), int(norm.epsilon[t]), norm.gain[t].to(device), int(norm.gain_shift[t]),
        norm.offset[t].to(device))
    return scale, offset, int(norm.shift[t])


def _table(x: Tensor, i: LoadInputs) -> Tensor:
    table = i.layer.load.stages.table
    assert table is not None
    return lookup(table, x)


APPLY: dict[str, Callable[[Tensor, LoadInputs], Tensor]] = {
    "row affine": _row_affine, "channel affine": _channel_affine, "table": _table}
