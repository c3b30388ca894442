from fractions import Fraction

import pytest
import torch

from hqdm.golden.arithmetic.rounding import clamp, divide, rhe, saturate


def ints(*values):
    return torch.tensor(values, dtype=torch.int64)


@pytest.mark.parametrize("shift", range(0, 48))
def test_rhe_is_python_round_half_even(shift):
    g = torch.Generator().manual_seed(shift)
    unit = 1 << shift
    v = torch.cat([
        torch.randint(-(1 << 47), 1 << 47, (200,), generator=g),
        (torch.arange(-9, 10) << shift) // 2,               # ties and whole numbers
        (torch.arange(-9, 10) << shift) // 2 + 1,
        (torch.arange(-9, 10) << shift) // 2 - 1,
        ints(-(1 << 47), (1 << 47) - 1),
    ])
    assert rhe(v, shift).tolist() == [round(Fraction(x, unit)) for x in v.tolist()]


def test_ties_go_to_even():
    assert rhe(ints(-3, -1, 1, 3, 5), 1).tolist() == [-2, 0, 0, 2, 2]


def test_a_tensor_of_shifts_broadcasts():
    v = ints(100, 101, 102)[:, None]
    shifts = ints(0, 1, 2, 3)
    wanted = [[round(Fraction(x, 1 << s)) for s in shifts.tolist()] for x in v.flatten().tolist()]
    assert rhe(v, shifts).tolist() == wanted


def test_a_tensor_of_shifts_rounds_as_each_shift_alone():
    """Ties and their neighbours of both signs, for every pair of shifts that stand together."""
    shifts = torch.arange(63)
    unit = torch.ones_like(shifts) << (shifts - 1).clamp(min=0)         # half of one
    odd = torch.arange(-9, 10, 2)[:, None, None]
    v = (odd * unit + ints(-1, 0, 1)[:, None])[..., 1:60]               # what fits into int64
    shifts = shifts[1:60]
    got = rhe(v, shifts)
    assert torch.equal(got, torch.stack(
        [rhe(v[..., k].contiguous(), int(s)) for k, s in enumerate(shifts)], -1))
    assert got.flatten().tolist() == [
        round(Fraction(x, 1 << s)) for x, s in zip(
            v.flatten().tolist(), shifts.expand_as(v).flatten().tolist(), strict=True)]


@pytest.mark.parametrize("bits", [16, 24])
def test_saturate_clamps_to_the_signed_range(bits):
    high = (1 << (bits - 1)) - 1
    got = saturate(ints(-(1 << 40), -high - 2, -high - 1, -1, 0, high, high + 1), bits)
    assert got.tolist() == [-high - 1, -high - 1, -high - 1, -1, 0, high, high]


def test_bad_input_is_refused():
    with pytest.raises(TypeError, match=r"rhe: wanted an int64 tensor, got torch\.int32"):
        rhe(torch.zeros(1, dtype=torch.int32), 1)
    with pytest.raises(TypeError, match=r"rhe shift: wanted an int64 tensor, got torch\.int16"):
        rhe(ints(1), torch.zeros(1, dtype=torch.int16))
    with pytest.raises(ValueError, match=r"rhe shift: wanted 0\.\.62, got -1"):
        rhe(ints(1), -1)
    with pytest.raises(ValueError, match=r"rhe shift: wanted 0\.\.62, got 63"):
        rhe(ints(1, 2), ints(0, 63))
    with pytest.raises(TypeError, match=r"saturate: wanted an int64 tensor, got torch\.float32"):
        saturate(torch.zeros(1), 16)


def test_divide_is_python_round_half_even():
    g = torch.Generator().manual_seed(1)
    a = torch.cat([torch.randint(-(1 << 61), 1 << 61, (300,), generator=g), torch.arange(-30, 31)])
    for b in (1, 2, 3, 4, 7, 10, 6 * 36, (1 << 32) + 1):
        assert divide(a, b).tolist() == [round(Fraction(x, b)) for x in a.tolist()]
    divisors = torch.randint(1, 1 << 32, a.shape, generator=g)
    assert divide(a, divisors).tolist() == [
        round(Fraction(x, y)) for x, y in zip(a.tolist(), divisors.tolist(), strict=True)]


def test_divide_refuses_what_is_not_positive():
    with pytest.raises(ValueError, match=r"divide: wanted a positive divisor, got 0"):
        divide(ints(1), ints(0))


def test_clamp_is_symmetric_and_wants_int64():
    v = torch.arange(-12, 13)
    assert clamp(v, -7, 5).tolist() == [max(-7, min(5, x)) for x in v.tolist()]
    with pytest.raises(TypeError, match=r"clamp: wanted an int64 tensor, got torch\.float32"):
        clamp(v.float(), -7, 7)
