from fractions import Fraction

import pytest
import torch

from hqdm.golden.load import quantise, rotate
from hqdm.spec.fixed import (
    operand_magnitude,
    required_operand_bits,
    split_nibbles,
    symmetric_max,
)


@pytest.mark.parametrize(("low", "high"), [
    (-1, 1), (-3, 3), (-7, 7), (-119, 119), (0, 15), (-15, 0), (-2, 13), (0, 0)])
@pytest.mark.parametrize(("multiplier", "shift"), [(1, 1), (65535, 47), (40000, 26), (65535, 1)])
def test_quantise_rounds_then_clamps(low, high, multiplier, shift):
    g = torch.Generator().manual_seed(high)
    r = torch.cat([torch.randint(-(1 << 21), 1 << 21, (300,), generator=g),
                   torch.tensor([-(1 << 21), -1, 0, 1, (1 << 21) - 1])])
    wanted = [min(high, max(low, round(Fraction(x * multiplier, 1 << shift))))
              for x in r.tolist()]
    assert quantise(r, multiplier, shift, low, high).tolist() == wanted


def test_both_nibbles_of_every_level_are_signed_nibbles():
    q = torch.arange(-119, 120)
    lo, hi = split_nibbles(q)
    assert torch.equal(16 * hi + lo, q)
    assert (int(lo.min()), int(lo.max())) == (-8, 7)
    assert (int(hi.min()), int(hi.max())) == (-7, 7)


def test_120_is_the_first_level_that_does_not_fit():
    _, hi = split_nibbles(torch.tensor([119, 120, 127]))
    assert hi.tolist() == [7, 8, 8]


@pytest.mark.parametrize("order", range(7))
def test_rotating_the_nibbles_is_rotating_the_whole(order):
    q = torch.randint(-119, 120, (4, 64), generator=torch.Generator().manual_seed(order))
    lo, hi = (rotate(part, order, 1) for part in split_nibbles(q))
    assert torch.equal((hi << 4) + lo, rotate(q, order, 1))


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("order", range(7))
def test_operand_width_is_reached_and_not_exceeded(bits, order):
    """The worst input of output i is Q * H[i]; of a low nibble also -8 everywhere."""
    limit = symmetric_max(bits)
    signs = rotate(torch.eye(1 << order, dtype=torch.int64), order, 1)
    u = rotate(limit * torch.cat([signs, -signs]), order, 1)
    assert int(u.abs().max()) == operand_magnitude(bits, order)
    width = required_operand_bits(bits, order)
    if bits == 8:       # every pattern that pushes one output to its end: -8 or 7 by sign
        low = torch.where(torch.cat([signs, -signs]) > 0, 7, -8)
        u = rotate(low, order, 1)
        assert int(u.min()) == -8 << order
        assert int(u.max()) <= (7 << order) + (1 << order) // 2
    assert -(1 << (width - 1)) <= int(u.min()) and int(u.max()) < 1 << (width - 1)
    assert width <= 10
    assert max(int(u.max()), -int(u.min()) - 1) >= 1 << (width - 2)     # one bit less is too few


@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("order", range(7))
def test_operand_width_of_free_bounds(bits, order):
    """Worst with all levels on one side and all entries there: the first output of a block."""
    q = torch.full((2, 1 << order), (1 << bits) - 1)
    q[1] *= -1
    u = rotate(q, order, 1)
    assert int(u.abs().max()) == operand_magnitude(bits, order, True)
    width = required_operand_bits(bits, order, True)
    half = 1 << (width - 1)
    assert -half <= int(u.min()) and half // 2 <= int(u.max()) < half
