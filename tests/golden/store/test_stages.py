"""Statistics, gate, row scale, and the store that has them all."""

import random
from fractions import Fraction

import pytest
import torch

from hqdm.golden.arithmetic.statistics import gather
from hqdm.golden.arithmetic.table import lookup
from hqdm.golden.layer import load_operands, partial_sums, run_layer
from hqdm.golden.random import random_layer, random_parameters, random_sources
from hqdm.golden.stages import LayerParameters
from hqdm.golden.store.gate import gate
from hqdm.golden.store.outputs import store_staged
from hqdm.spec import PRESETS, Table


def draw(low, high, *shape, seed=0):
    return torch.randint(low, high + 1, shape, generator=torch.Generator().manual_seed(seed))


def test_statistics_are_exact():
    x = draw(-32768, 32767, 2, 6, 3, 4)
    s = gather(x, ("channel", "row", "maximum"), heads=3)
    assert torch.equal(s.channel[0], x.sum((2, 3)))
    assert torch.equal(s.channel[1], (x * x).sum((2, 3)))
    assert torch.equal(s.row[1], (x * x).sum(1))
    assert torch.equal(s.maximum, torch.stack([x[:, 2 * h:2 * h + 2].amax(1) for h in range(3)], 1))
    assert gather(x, ()).channel is None


def test_gate_rounds_the_product_once():
    t = Table(function="gelu", in_exponent=11, out_exponent=11)
    y = draw(-32768, 32767, 1, 8, 5, 1)
    wanted = [max(-32768, min(32767, round(Fraction(a * b, 1 << 13)))) for a, b in zip(
        y[:, :4].flatten().tolist(), lookup(t, y[:, 4:]).flatten().tolist(), strict=True)]
    assert gate(y, t, 13).flatten().tolist() == wanted


def unstaged(layer, base):
    """The parameters of a layer without stages."""
    zeros = torch.zeros(layer.timesteps, dtype=torch.int64)
    sources = base.source_exponent[:, None].expand(-1, len(layer.load.channels))
    return LayerParameters(
        base=base, source_exponents=sources, bias=base.bias[:, None], row=None, group=None,
        affine=None, weight_multiplier=zeros, weight_shift=zeros, gate_shift=zeros, guard=0)


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 6, 8])
def test_without_stages_the_bits_are_the_layers(seed):
    layer = random_layer(random.Random(seed), PRESETS["n8"])
    assert layer.stages == ()
    generator = torch.Generator().manual_seed(seed)
    base = random_parameters(layer, generator)
    parameters = unstaged(layer, base)
    parameters.check(layer)
    sources, second = random_sources(layer, base, 0, generator)
    batch = [type(s)(s.values[None], s.exponent) for s in sources]
    second1 = None if second is None else type(second)(second.values[None], second.exponent)
    acc = partial_sums(layer, base, load_operands(layer, base, batch, 0))
    got = store_staged(layer, parameters, acc, 0, torch.zeros(1, dtype=torch.int64), second1)
    assert torch.equal(got.values[0], run_layer(layer, base, sources, 0, second).values)
