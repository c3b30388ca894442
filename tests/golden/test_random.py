import random
from collections import Counter

import pytest
import torch

from hqdm.golden import run_layer
from hqdm.golden.load import load_quantised
from hqdm.golden.random import random_layer, random_parameters, random_sources
from hqdm.spec import PRESETS, Layer, Load, Multiply, Store


def generator(seed):
    return torch.Generator().manual_seed(seed)


def test_the_same_seed_gives_the_same_layer_and_data():
    first, second = ([random_layer(random.Random(7), PRESETS["n8"]) for _ in range(3)]
                     for _ in range(2))
    assert first == second
    layer = first[0]
    p, q = (random_parameters(layer, generator(3)) for _ in range(2))
    assert torch.equal(p.weights, q.weights) and torch.equal(p.load_shift, q.load_shift)
    (a,), (b,) = (random_sources(layer, p, 0, generator(4))[0][:1] for _ in range(2))
    assert torch.equal(a.values, b.values)


@pytest.mark.parametrize("name", ["n4", "n8", "n16"])
def test_random_layers_reach_every_option_within_the_bound(name):
    rng, seen = random.Random(1), Counter()
    for _ in range(600):
        layer = random_layer(rng, PRESETS[name], max_macs=100_000)
        assert layer.macs <= 100_000
        load, multiply = layer.load, layer.multiply
        seen.update([
            ("op", multiply.op), ("sources", len(load.channels)), ("axis", load.axis, load.order),
            ("upsample", load.upsample), ("stride", multiply.stride), ("act", load.bits),
            ("padding", multiply.padding), ("weight", multiply.bits),
            ("residual", layer.store.residual), *layer.stages,
            ("ranged", load.bits if load.ranged else 0),
            ("odd", any(c % 2 for c in load.channels)),
            ("one pixel", layer.out_height * layer.out_width == 1)])
    wanted = [("axis", axis, order) for axis in ("channel", "width") for order in range(7)]
    wanted += [("op", op) for op in ("linear", "conv1x1", "conv3x3")]
    wanted += [(kind, bits) for kind in ("act", "weight") for bits in (2, 3, 4, 8)]
    wanted += [("sources", 2), ("upsample", 2), ("stride", 2), ("padding", 0), ("odd", True)]
    wanted += [("ranged", bits) for bits in (0, 2, 3, 4)]
    wanted += [("residual", "add"), ("residual", "subtract"), ("one pixel", True), "row scale"]
    assert [w for w in wanted if not seen[w]] == []


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_free_bounds_reach_both_ends(bits):
    load = Load(channels=(4,), height=2, width=2, bits=bits, ranged=True)
    layer = Layer(name="r", load=load, multiply=Multiply(op="conv1x1", out_channels=1),
                  timesteps=200)
    p, top = random_parameters(layer, generator(1)), (1 << bits) - 1
    p.check(layer)
    pairs = set(zip(p.load_low.tolist(), p.load_high.tolist(), strict=True))
    assert {(0, top), (-top, 0), (-1, top - 1)} <= pairs
    assert any(high - low < top for low, high in pairs)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("seed", [1, 2])
def test_values_use_their_whole_range_with_a_little_saturation(bits, seed):
    layer = Layer(
        name="spread", load=Load(channels=(32,), height=16, width=16, axis="width", order=3,
                                 bits=bits),
        multiply=Multiply(op="conv3x3", out_channels=32, padding=1), store=Store(residual="add"),
        timesteps=4)
    g = generator(seed)
    p = random_parameters(layer, g)
    sources, second = random_sources(layer, p, 3, g)
    q = load_quantised(layer, p, sources, 3)
    assert set(q.unique().tolist()) == set(range(-layer.load.quant_max, layer.load.quant_max + 1))
    y = run_layer(layer, p, sources, 3, second).values.double()
    assert 5000 < y.std() < 22000
    assert 0 < (y == 32767).double().mean() < 0.1
    assert 0 < (y == -32768).double().mean() < 0.1
