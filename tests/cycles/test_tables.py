"""Numbers as the table of `hqdm cycles` shows them."""

import pytest

from hqdm.cycles.tables import print_answer, seconds
from tests.cycles.small_answer import small_answer


@pytest.mark.parametrize(("value", "text"), [
    (0.0, "0 µs"), (2.5e-7, "0.25 µs"), (1.2e-5, "12 µs"), (9.994e-4, "999 µs"),
    (9.996e-4, "1 ms"), (1e-3, "1 ms"), (5e-3, "5 ms"), (0.0123, "12.3 ms"),
    (0.9994, "999 ms"), (0.9996, "1 s"), (1.0, "1 s"), (61.26, "61.3 s"), (999.4, "999 s"),
    (999.6, "1,000 s"), (123_456.7, "123,457 s")])
def test_a_time_has_the_unit_that_suits_it(value, text):
    assert seconds(value) == text


@pytest.mark.parametrize("batch", [1, 3])
def test_what_is_folded_is_of_the_batch(batch, capsys):
    print_answer(small_answer(batch), every_layer=False)
    assert f"{0.0025 * batch:.4f} GMAC" in capsys.readouterr().out
