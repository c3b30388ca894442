"""Affines at load against exact rational arithmetic."""

from fractions import Fraction

import torch

from hqdm.golden.load.affine import channel_affine, row_affine
from hqdm.spec.fixed import CARRIER


def clamp(value):
    return max(CARRIER.low, min(CARRIER.high, value))


def draw(low, high, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high + 1, shape, generator=generator)


def test_channel_affine_rounds_once_and_saturates():
    x = draw(CARRIER.low, CARRIER.high, 2, 3, 4, 5)
    scale, offset = draw(-(1 << 17), (1 << 17) - 1, 2, 3), draw(-(1 << 32), 1 << 32, 2, 3)
    y = channel_affine(x, scale, offset, 17)
    for b, c in ((0, 0), (0, 2), (1, 1)):
        a, o = int(scale[b, c]), int(offset[b, c])
        wanted = [clamp(round(Fraction(v * a + o, 1 << 17))) for v in x[b, c].flatten().tolist()]
        assert y[b, c].flatten().tolist() == wanted
    assert y.max() == CARRIER.high and y.min() == CARRIER.low


def test_channel_affine_of_one_vector_serves_a_batch():
    x, scale, offset = draw(-99, 99, 2, 3, 4, 1), draw(-9, 9, 3), draw(-9, 9, 3)
    assert torch.equal(channel_affine(x, scale, offset, 2),
                       channel_affine(x, scale.expand(2, 3), offset.expand(2, 3), 2))


def test_row_affine_rounds_once():
    x = draw(CARRIER.low, CARRIER.high, 2, 3, 4, 5)
    scale, offset = draw(0, (1 << 17) - 1, 2, 4, 5), draw(-(1 << 30), 1 << 30, 2, 4, 5)
    y = row_affine(x, scale, offset, 16)
    a, o = int(scale[1, 2, 3]), int(offset[1, 2, 3])
    assert y[1, :, 2, 3].tolist() == [
        clamp(round(Fraction(v * a + o, 1 << 16))) for v in x[1, :, 2, 3].tolist()]


def test_the_row_maximum_is_subtracted_exactly():
    x = draw(-9000, 9000, 2, 6, 4, 1)
    top = x.amax(1)
    y = row_affine(x, 1 << 15, -(top << 15), 15)
    assert torch.equal(y, x - top.unsqueeze(1))
