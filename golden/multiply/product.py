"""Activation x activation products: a second tensor takes the place of the weights."""

import torch
from torch import Tensor

from hqdm.golden.arithmetic.exact import exact_dtype
from hqdm.golden.load.quantise import quantise
from hqdm.golden.stages import LayerParameters
from hqdm.spec import Layer
from hqdm.spec.fixed import symmetric_max

PRODUCT_BITS = 8


def row_totals(probabilities: Tensor, guard: int) -> Tensor:
    """Sums over the keys of quantised probabilities: int64 (..., keys, rows) -> (..., rows).

    At least 2**guard, the smallest that has a row factor: rows without any probability above half
    a step are zero.
    """
    return probabilities.sum(-2).clamp(min=1 << guard)


def product_sums(layer: Layer, parameters: LayerParameters, operands: Tensor, weights: Tensor,
                 timestep: int) -> tuple[Tensor, Tensor | None]:
    """(sums, row totals): exact, by one matrix product per image and head.

    scores: acc[h keys + j, i] = sum over d of q[h size + d, i] * k[h size + d, j]; no totals.
    mix: acc[h size + d, i] = sum over j of p[h keys + j, i] * v[h size + d, j], and
    `row_totals` of p.

    Parameters
    ----------
    operands: int64 (B, C, rows, 1), quantised, not rotated.
    weights: int16 (B, C', keys) of the tensor in the weights' place.

    Returns
    -------
    int64 (B, O, rows, 1), and int64 (B, heads, rows) for mix.
    """
    heads = layer.multiply.heads
    limit = symmetric_max(PRODUCT_BITS)
    w = quantise(weights.to(torch.int64), int(parameters.weight_multiplier[timestep]),
                 int(parameters.weight_shift[timestep]), -limit, limit)
    u = operands.squeeze(3).unflatten(1, (heads, -1))       # (B, C, N, 1) -> (B, h, depth, N)
    w = w.unflatten(1, (heads, -1))                         # (B, C', K) -> (B, h, size, K)
    totals = None
    if layer.multiply.product == "scores":
        w = w.transpose(2, 3)
    else:
        totals = row_totals(u, parameters.guard)
    dtype = exact_dtype(layer.load.quant_max * limit * layer.depth)
    with torch.autocast(u.device.type, enabled=False):
        acc = torch.matmul(w.to(dtype), u.to(dtype))        # (B, h, out, N)
    return acc.to(torch.int64).flatten(1, 2).unsqueeze(3), totals
