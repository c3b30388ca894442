"""The store unit's whole path: partial sums to the output carrier, stage by stage."""

from collections.abc import Callable

import torch
from torch import Tensor

from hqdm.golden.carrier import Carrier
from hqdm.golden.parameters import Parameters
from hqdm.golden.stages import LayerParameters
from hqdm.golden.store.bias import add_bias
from hqdm.golden.store.gate import gate
from hqdm.golden.store.inputs import StoreInputs
from hqdm.golden.store.requantise import channel_scale, step_scale
from hqdm.golden.store.residual import combine
from hqdm.golden.store.row_scale import check_factors, row_factors, row_scale
from hqdm.spec import Layer
from hqdm.spec.stages import STORE


def _channel(y: Tensor, i: StoreInputs) -> Tensor:
    return channel_scale(y, i.parameters.multipliers, i.parameters.channel_shift)


def _row_scale(y: Tensor, i: StoreInputs) -> Tensor:
    assert i.factors is not None
    return row_scale(y, i.factors)


def _timestep(y: Tensor, i: StoreInputs) -> Tensor:
    return step_scale(y, int(i.parameters.step_multiplier[i.timestep]),
                      int(i.parameters.step_shift[i.timestep]))


def _gate(y: Tensor, i: StoreInputs) -> Tensor:
    table = i.layer.store.stages.gate
    assert table is not None
    return gate(y, table, i.gate_shift)


def _second(y: Tensor, i: StoreInputs) -> Tensor:
    assert i.second is not None
    return combine(y, i.second.values.to(torch.int64),
                   int(i.parameters.residual_shift[i.timestep]), i.layer.store.residual)


def _unchanged(y: Tensor, _: StoreInputs) -> Tensor:
    """Statistics read y (`hqdm.golden.arithmetic.statistics.gather`)."""
    return y


APPLY: dict[str, Callable[[Tensor, StoreInputs], Tensor]] = {
    "channel": _channel,
    "row scale": _row_scale,
    "timestep": _timestep,
    "bias": lambda y, i: add_bias(y, i.bias),
    "class bias": _unchanged,       # `StoreInputs.bias` is that of the class already
    "gate": _gate,
    "second": _second,
    "channel statistics": _unchanged,
    "row statistics": _unchanged,
    "maximum statistics": _unchanged,
}


def run_stages(acc: Tensor, inputs: StoreInputs) -> Carrier:
    """The stages of `hqdm.spec.stages.STORE` that the layer has, in order.

    Parameters
    ----------
    acc: int64 (..., O, H', W') within int32.
    """
    y, t = acc, inputs.timestep
    for stage in STORE:
        if stage.option is None or stage.asked(inputs.layer.store):
            y = APPLY[stage.name](y, inputs)
    return Carrier(y.to(torch.int16), int(inputs.parameters.output_exponent[t]))


def check_second(layer: Layer, parameters: Parameters, second: Carrier | None, timestep: int,
                 batch: tuple[int, ...]) -> None:
    """Raise ValueError unless `second` is there exactly if wanted, with shape and exponent."""
    if (second is None) != (layer.store.residual == "none"):
        wanted = "no second operand" if second else "a second operand"
        raise ValueError(f"{layer.name}: wanted {wanted} (residual {layer.store.residual!r}), "
                         f"got {'one' if second else 'none'}")
    if second is None:
        return
    shape = (*batch, layer.stored_channels, layer.out_height, layer.out_width)
    if tuple(second.values.shape) != shape:
        raise ValueError(f"{layer.name}: second operand: wanted shape {shape}, "
                         f"got {tuple(second.values.shape)}")
    exponent = int(parameters.output_exponent[timestep] + parameters.residual_shift[timestep])
    if second.exponent != exponent:
        raise ValueError(
            f"{layer.name}: second operand: wanted exponent {exponent} (output exponent plus "
            f"residual_shift) at timestep {timestep}, got {second.exponent}")


def store_outputs(layer: Layer, parameters: Parameters, acc: Tensor, timestep: int,
                  second: Carrier | None = None, row_factors: Tensor | None = None) -> Carrier:
    """What the core stores: int64 sums (..., O, H', W') to the output carrier.

    `row_factors`, int16 (..., H', W'), scale the rows exactly if the layer has that stage.
    """
    batch = tuple(acc.shape[:-3])
    check_second(layer, parameters, second, timestep, batch)
    check_factors(layer, row_factors, batch)
    return run_stages(acc, StoreInputs(
        layer=layer, parameters=parameters, timestep=timestep, second=second,
        bias=parameters.bias[timestep],
        factors=None if row_factors is None else row_factors.unsqueeze(-3)))


def store_staged(layer: Layer, parameters: LayerParameters, acc: Tensor, timestep: int,
                 classes: Tensor, second: Carrier | None = None,
                 totals: Tensor | None = None) -> Carrier:
    """What a layer of a network stores, whether or not the core has its stages.

    Parameters
    ----------
    acc: int64 (B, O, H, W) within int32.
    classes: int64 [B], the class of each image.
    totals: int64 (B, heads, rows), exactly for a row scale.

    Raises
    ------
    ValueError: a second operand missing, superfluous, of another shape or exponent.
    """
    base = parameters.base
    check_second(layer, base, second, timestep, tuple(acc.shape[:1]))
    factors = None
    if totals is not None:
        size = layer.multiply.out_channels // layer.multiply.heads
        factors = row_factors(totals, parameters.guard)         # (B, heads, rows)
        factors = factors.repeat_interleave(size, 1).unsqueeze(3)       # -> (B, O, rows, 1)
    bias = parameters.bias[timestep].to(acc.device)
    return run_stages(acc, StoreInputs(
        layer=layer, parameters=base, timestep=timestep, second=second, factors=factors,
        bias=bias[0] if layer.store.stages.classes == 1 else bias[classes],
        gate_shift=int(parameters.gate_shift[timestep])))
