"""The store unit's whole path: partial sums to the output carrier."""

import torch
from torch import Tensor

from hqdm.golden.carrier import Carrier
from hqdm.golden.parameters import Parameters
from hqdm.golden.store.bias import add_bias
from hqdm.golden.store.requantise import requantise
from hqdm.golden.store.residual import combine
from hqdm.golden.store.row_scale import check_factors
from hqdm.spec import Layer


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
    """Requantise, bias, second operand: int64 sums (..., O, H', W') to the output carrier.

    `row_factors`, int16 (..., H', W'), scale the rows exactly if the layer has that stage.
    """
    batch = tuple(acc.shape[:-3])
    check_second(layer, parameters, second, timestep, batch)
    check_factors(layer, row_factors, batch)
    y = requantise(acc, parameters.multipliers, parameters.channel_shift,
                   int(parameters.step_multiplier[timestep]),
                   int(parameters.step_shift[timestep]),
                   None if row_factors is None else row_factors.unsqueeze(-3))
    y = add_bias(y, parameters.bias[timestep])
    if second is not None:
        y = combine(y, second.values.to(torch.int64),
                    int(parameters.residual_shift[timestep]), layer.store.residual)
    return Carrier(y.to(torch.int16), int(parameters.output_exponent[timestep]))
