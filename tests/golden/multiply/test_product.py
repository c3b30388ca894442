"""Activation x activation products against plain sums."""

from types import SimpleNamespace

import torch

from hqdm.golden.arithmetic.rounding import rhe
from hqdm.golden.multiply.product import product_sums
from hqdm.spec import Layer, Load, Multiply

HEADS, SIZE, KEYS = 2, 4, 6


def draw(low, high, *shape, seed=0):
    return torch.randint(low, high + 1, shape, generator=torch.Generator().manual_seed(seed))


def parameters(guard=0):
    return SimpleNamespace(weight_multiplier=torch.tensor([40000]), weight_shift=torch.tensor([23]),
                           guard=guard)


def layer(product, channels, out):
    return Layer(name=product, load=Load(channels=(channels,), height=KEYS, width=1, bits=8),
                 multiply=Multiply(op="linear", out_channels=out, bits=8, product=product,
                                   heads=HEADS))


def quantised(values):
    return rhe(values.long() * 40000, 23).clamp(-119, 119)


def test_scores_are_queries_times_keys():
    q, k = draw(-119, 119, 2, 8, KEYS, 1), draw(-32768, 32767, 2, 8, KEYS, seed=1).to(torch.int16)
    acc, totals = product_sums(layer("scores", 8, HEADS * KEYS), parameters(), q, k, 0)
    w = quantised(k)
    for h, key, row in ((0, 0, 0), (1, 5, 3), (1, 2, 5)):
        span = slice(h * SIZE, (h + 1) * SIZE)
        assert torch.equal(acc[:, h * KEYS + key, row, 0],
                           (q[:, span, row, 0] * w[:, span, key]).sum(1))
    assert totals is None


def test_mix_is_probabilities_times_values_with_totals():
    p = draw(0, 119, 2, HEADS * KEYS, KEYS, 1)
    v = draw(-32768, 32767, 2, 8, KEYS, seed=1).to(torch.int16)
    acc, totals = product_sums(layer("mix", HEADS * KEYS, 8), parameters(), p, v, 0)
    w = quantised(v)
    for channel, row in ((0, 0), (5, 3), (7, 5)):
        h = channel // SIZE
        part = p[:, h * KEYS:(h + 1) * KEYS, row, 0]
        assert torch.equal(acc[:, channel, row, 0], (part * w[:, channel]).sum(1))
        assert torch.equal(totals[:, h, row], part.sum(1))


def test_totals_never_fall_below_the_guard():
    p = torch.zeros(1, HEADS * KEYS, KEYS, 1, dtype=torch.int64)
    v = torch.zeros(1, 8, KEYS, dtype=torch.int16)
    _, totals = product_sums(layer("mix", HEADS * KEYS, 8), parameters(3), p, v, 0)
    assert totals.unique().tolist() == [8]
