"""The store with its optional stages."""

import torch
from torch import Tensor

from hqdm.golden.carrier import Carrier
from hqdm.golden.stages import LayerParameters
from hqdm.golden.store.bias import add_bias
from hqdm.golden.store.gate import gate
from hqdm.golden.store.outputs import check_second
from hqdm.golden.store.requantise import requantise
from hqdm.golden.store.residual import combine
from hqdm.golden.store.row_scale import row_factors
from hqdm.spec import Layer


def store_staged(layer: Layer, parameters: LayerParameters, acc: Tensor, timestep: int,
                 classes: Tensor, second: Carrier | None = None,
                 totals: Tensor | None = None) -> Carrier:
    """Channel, row scale, timestep, bias of the class, gate, second operand: sums to the carrier.

    Without optional stages the bits are those of `hqdm.golden.store.store_outputs`.

    Parameters
    ----------
    acc: int64 (B, O, H, W) within int32.
    classes: int64 [B], the class of each image.
    totals: int64 (B, heads, rows), exactly for a row scale.

    Raises
    ------
    ValueError: a second operand missing, superfluous, of another shape or exponent.
    """
    base, stages = parameters.base, layer.store.stages
    check_second(layer, base, second, timestep, tuple(acc.shape[:1]))
    factors = None
    if stages.row_scale:
        assert totals is not None
        size = layer.multiply.out_channels // layer.multiply.heads
        factors = row_factors(totals, parameters.guard)         # (B, heads, rows)
        factors = factors.repeat_interleave(size, 1).unsqueeze(3)       # -> (B, O, rows, 1)
    y = requantise(acc, base.multipliers, base.channel_shift,
                   int(base.step_multiplier[timestep]), int(base.step_shift[timestep]), factors)
    bias = parameters.bias[timestep].to(y.device)
    y = add_bias(y, bias[0] if stages.classes == 1 else bias[classes])
    if stages.gate is not None:
        y = gate(y, stages.gate, int(parameters.gate_shift[timestep]))
    if second is not None:
        y = combine(y, second.values.to(torch.int64), int(base.residual_shift[timestep]),
                    layer.store.residual)
    return Carrier(y.to(torch.int16), int(base.output_exponent[timestep]))
