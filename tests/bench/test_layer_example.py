"""docs/layer-in-ten-minutes.md has the numbers of the golden model."""

import pytest
import torch

from bench.layer_example import PAGE, blocks, device, fill, golden, steps


def test_page_is_up_to_date():
    text = PAGE.read_text(encoding="utf-8")
    assert text == fill(text), (
        f"docs/{PAGE.name} is out of date: run python -m bench.layer_example")


def test_steps_end_in_the_output_of_the_whole_layer():
    assert torch.equal(steps()["y"].to(torch.int16), golden())


def test_golden_device_gives_the_same_output():
    output, _ = device()
    assert torch.equal(output, golden())


def test_page_shows_ties_and_saturation():
    made = blocks()
    assert "| 4.5 |" in made["before rounding"]         # goes to the even 4
    assert "| row 0 | 4 |" in made["quantised"]
    assert "| row 1 | 7.62… |" in made["before rounding"]
    assert "| row 1 | 7 |" in made["quantised"]
    assert "| 32767 |" in made["output"]


def test_block_that_nobody_makes():
    with pytest.raises(ValueError, match=r"wanted the blocks .* got .*'nothing'"):
        fill(PAGE.read_text(encoding="utf-8") + "<!-- nothing -->\n\n<!-- end -->\n")
