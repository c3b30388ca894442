from fractions import Fraction

import pytest
import torch

from hqdm.golden.store import align, combine

VALUES = torch.tensor([-32768, -32767, -20001, -3, -2, -1, 0, 1, 2, 3, 6, 10, 20001, 32767])


def sat16(v):
    return max(-32768, min(32767, v))


@pytest.mark.parametrize("shift", range(-15, 16))
def test_alignment_is_a_right_shift_with_rounding(shift):
    wanted = [sat16(round(Fraction(x) / Fraction(2) ** shift)) for x in VALUES.tolist()]
    assert align(VALUES, shift).tolist() == wanted


@pytest.mark.parametrize(("residual", "sign"), [("add", 1), ("subtract", -1)])
@pytest.mark.parametrize("shift", [-3, 0, 1, 15])
def test_the_aligned_operand_is_added_or_subtracted(residual, sign, shift):
    y = VALUES.flip(0)
    wanted = [sat16(a + sign * b)
              for a, b in zip(y.tolist(), align(VALUES, shift).tolist(), strict=True)]
    assert combine(y, VALUES, shift, residual).tolist() == wanted


def test_alignment_saturates_before_the_subtraction():
    """-32768 doubled saturates, and 0 minus it saturates again: 32767, not 65536."""
    assert combine(torch.tensor([0]), torch.tensor([-32768]), -1, "subtract").tolist() == [32767]
    assert combine(torch.tensor([-1]), torch.tensor([-32768]), -1, "subtract").tolist() == [32767]
    assert combine(torch.tensor([-2]), torch.tensor([-32768]), -1, "subtract").tolist() == [32766]
