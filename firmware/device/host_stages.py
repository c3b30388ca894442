"""What the core does not have yet, computed on the host by the golden functions.

Normalisation, tables, quantising and packing of the second operand of a product, reciprocals of
softmax, gates with their residual, statistics. This page is the border: as the core gains a stage,
its function here goes, and with the last one the page.
`hqdm.spec.device_layers.host_work` counts the same stages.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from hqdm.golden.arithmetic.statistics import Statistics, gather
from hqdm.golden.carrier import Carrier
from hqdm.golden.load.operands import load_operands
from hqdm.golden.load.prepare import prepare
from hqdm.golden.load.quantise import quantise
from hqdm.golden.multiply.product import PRODUCT_BITS, row_totals
from hqdm.golden.stages import LayerParameters
from hqdm.golden.store.gate import gate
from hqdm.golden.store.residual import combine
from hqdm.golden.store.row_scale import row_factors
from hqdm.spec.fixed import symmetric_max
from hqdm.spec.network import Node


def prepared(node: Node, parameters: LayerParameters, sources: Sequence[Carrier],
             statistics: Sequence[Statistics], timestep: int) -> list[Carrier]:
    """Row affine, channel affine and table of the sources, each (1, C_i, H, W)."""
    return prepare(node.layer, parameters, sources, statistics, timestep)


def head_sources(node: Node, sources: Sequence[Carrier]) -> list[list[Carrier]]:
    """The sources of every layer the core runs for `node`: (C, H, W), by head for products."""
    heads = node.layer.multiply.heads
    cut = [s.values[0].chunk(heads) for s in sources]
    return [[Carrier(parts[h], s.exponent) for parts, s in zip(cut, sources, strict=True)]
            for h in range(heads)]


def head_weights(node: Node, parameters: LayerParameters, other: Tensor, timestep: int,
                 ) -> list[Tensor]:
    """The operand in the weights' place, quantised: int16 (O, I, 1, 1) of every head.

    Parameters
    ----------
    other: int16 (C, keys): keys of scores, values of a mix.
    """
    limit = symmetric_max(PRODUCT_BITS)
    q = quantise(other.to(torch.int64), int(parameters.weight_multiplier[timestep]),
                 int(parameters.weight_shift[timestep]), -limit, limit)
    blocks = q.to(torch.int16).chunk(node.layer.multiply.heads)     # heads x (size, keys)
    if node.layer.multiply.product == "scores":
        blocks = tuple(block.T for block in blocks)
    return [block[:, :, None, None].contiguous() for block in blocks]


def head_factors(node: Node, parameters: LayerParameters, sources: Sequence[Carrier],
                 timestep: int) -> list[Tensor]:
    """Row factors int16 (rows, 1) of every head, of prepared sources (1, C, rows, 1)."""
    heads = node.layer.multiply.heads
    operands = load_operands(node.layer, parameters.base, sources, timestep)
    probabilities = operands[0].squeeze(2).unflatten(0, (heads, -1))    # (heads, keys, rows)
    totals = row_totals(probabilities, parameters.guard)
    return list(row_factors(totals, parameters.guard).unsqueeze(2))


def finished(node: Node, parameters: LayerParameters, outputs: Sequence[Tensor], timestep: int,
             second: Carrier | None) -> Tensor:
    """What the core stored, int16 (O, H, W) of every layer, to the node's tensor: heads joined,
    gate and the residual after it."""
    y = torch.cat(list(outputs))
    stages = node.layer.store.stages
    if stages.gate is None:
        return y
    y = gate(y.to(torch.int64), stages.gate, int(parameters.gate_shift[timestep]))
    if second is not None:
        y = combine(y, second.values.to(torch.int64),
                    int(parameters.base.residual_shift[timestep]), node.layer.store.residual)
    return y.to(torch.int16)


def statistics(node: Node, values: Tensor) -> Statistics:
    """Statistics of the node's tensor, int16 (C, H, W)."""
    return gather(values.unsqueeze(0).to(torch.int64), node.layer.store.stages.statistics,
                  node.layer.multiply.heads)
