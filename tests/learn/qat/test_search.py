"""Initial steps: least squared error."""

import pytest
import torch

from hqdm.learn.qat.search import search_asymmetric, search_rows, search_symmetric


def error(r, step, limit):
    return float(((r / step).round().clamp(-limit, limit) * step - r).square().mean())


@pytest.mark.parametrize("limit", [1, 3, 7, 119])
def test_symmetric_search_beats_other_steps(limit):
    r = torch.randn(4000, generator=torch.Generator().manual_seed(limit))
    step = float(search_symmetric(r, limit))
    # the grid has steps of 3 % of the largest value
    assert all(error(r, step, limit) <= 1.02 * error(r, step * f, limit) for f in (0.7, 1.4))
    if limit == 7:      # the optimum of 15 levels for a normal variable is 0.335
        assert step == pytest.approx(0.335, rel=0.15)


def test_rows_are_searched_apart():
    rows = torch.randn(5, 2000, generator=torch.Generator().manual_seed(1))
    rows *= torch.tensor([1, 10, 0.1, 3, 0])[:, None]
    steps = search_rows(rows, rows.abs().amax(1), 7)
    for row, step in zip(rows[:4], steps[:4], strict=True):
        torch.testing.assert_close(step, search_symmetric(row, 7))
    assert steps[4] == 1


def test_asymmetric_search_moves_the_zero_point():
    r = torch.nn.functional.silu(torch.randn(4000, generator=torch.Generator().manual_seed(2)))
    step, zero = search_asymmetric(r, 15)
    assert zero == zero.round() and 0 < zero < 5
    codes = ((r / step).round() + zero).clamp(0, 15)
    assert float(((codes - zero) * step - r).square().mean()) < 0.6 * error(
        r, search_symmetric(r, 7), 7)


def test_zeros():
    assert search_symmetric(torch.zeros(9), 7) == 1
    assert [float(x) for x in search_asymmetric(torch.zeros(9), 15)] == [1, 0]
