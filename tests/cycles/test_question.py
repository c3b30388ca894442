"""Numbers of the whole batch and of one image."""

import pytest

from hqdm.cycles.question import summary
from tests.cycles.small_answer import FOLDED, small_answer


@pytest.mark.parametrize("batch", [1, 3])
def test_products_are_of_the_batch(batch):
    answer = summary(small_answer(batch))
    assert answer["folded"] == [{"what": "a constant", "macs": batch * FOLDED}]
    assert answer["macs"] == batch * 4 * 4 * 24


@pytest.mark.parametrize("guidance", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
def test_seconds_are_of_one_image(batch, guidance):
    found = small_answer(batch, guidance, steps=7)
    answer = summary(found)
    assert answer["calls_per_image"] == (14 if guidance else 7)
    assert answer["seconds_per_step"] == pytest.approx(found.step.cycles / 100e6)
    assert answer["seconds_per_image"] == pytest.approx(
        found.step.cycles / 100e6 / batch * answer["calls_per_image"])
