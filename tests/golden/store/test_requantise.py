from fractions import Fraction

import pytest
import torch

from hqdm.golden.store import add_bias
from hqdm.golden.store.requantise import channel_scale, step_scale

INT32 = (1 << 31) - 1


def requantise(acc, multipliers, channel_shift, step_multiplier, step_shift):
    return step_scale(channel_scale(acc, multipliers, channel_shift), step_multiplier, step_shift)


def sat(v, bits):
    return max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, v))


@pytest.mark.parametrize(("s1", "mt", "st"), [
    (0, 1, 0), (47, 65535, 0), (20, 33333, 20), (24, 65535, 23), (1, 1, 47), (16, 40000, 47)])
def test_two_multipliers_with_a_24_bit_value_between(s1, mt, st):
    g = torch.Generator().manual_seed(s1)
    acc = torch.randint(-INT32 - 1, INT32 + 1, (3, 9, 9), generator=g)
    acc[:, 0] >>= 20
    acc[:, 1, :3] = torch.tensor([-INT32 - 1, 0, INT32])
    multipliers = torch.tensor([1, 40000, 65535])
    got = requantise(acc, multipliers, s1, mt, st)
    for o, m in enumerate(multipliers.tolist()):
        for value, y in zip(acc[o].flatten().tolist(), got[o].flatten().tolist(), strict=True):
            mid = sat(round(Fraction(value * m, 1 << s1)), 24)
            assert y == sat(round(Fraction(mid * mt, 1 << st)), 16)


@pytest.mark.parametrize("spare", range(1, 8))
def test_the_second_rounding_adds_less_than_a_quarter_step(spare):
    """mid `spare` bits finer than the carrier: the error is at most 1/2 + 2**-(spare + 1)."""
    g = torch.Generator().manual_seed(spare)
    acc = torch.randint(-(1 << 25), 1 << 25, (1, 100, 100), generator=g)
    m, s1, mt, st = 50000, 26 - spare, 1 << 15, 15 + spare
    y = requantise(acc, torch.tensor([m]), s1, mt, st)
    exact = acc.double() * m * mt / 2.0 ** (s1 + st)        # exact in float64: 57 - 41 bits
    error = float((y.double() - exact).abs()[y.abs() < 32767].max())
    assert 0.49 < error <= 0.5 + 2.0 ** -(spare + 1) + 1e-9


def test_bias_saturates():
    y = torch.tensor([32000, -32000, 5])[:, None, None].expand(3, 1, 2)
    bias = torch.tensor([1000, -1000, -7], dtype=torch.int16)
    assert add_bias(y, bias)[:, 0, 0].tolist() == [32767, -32768, -2]
    assert torch.equal(add_bias(y[None], bias), add_bias(y, bias)[None])
