"""What a step leaves to the host."""

import pytest

from tests.cycles.small_answer import SIZES, small_answer


@pytest.mark.parametrize("batch", [1, 3])
def test_the_host_is_counted_at_the_larger_of_what_it_reads_and_makes(batch):
    work = {h.stage: h.elements for h in small_answer(batch).step.host}
    channels, height, width = SIZES["y"]
    assert work == {
        "average pooling": batch * channels * height * width,
        "upsampling of a shortcut": batch * channels * 2 * height * 2 * width,
        "joining image and context": batch * channels * 31}


@pytest.mark.parametrize("batch", [0, 65536])
def test_a_batch_beyond_the_limits_is_refused(batch):
    with pytest.raises(ValueError, match=r"batch: wanted at (least 1|most 65,535) image"):
        small_answer(batch)
