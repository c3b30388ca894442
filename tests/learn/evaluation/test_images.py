"""Shelves of rows: what is kept is taken, what is missing is made, no row more or less."""

import pytest
import torch

from hqdm.learn.evaluation.images import CHUNK, Shelf


class Rows:
    """Row i is i; notes which rows were made."""

    def __init__(self, folder):
        self.shelf, self.made = Shelf(folder, "rows", {"seed": 1}), []

    def fill(self, n, batch=CHUNK):
        def make(first, last):
            self.made += range(first, last)
            return {"x": torch.arange(first, last), "y": -torch.arange(first, last)}
        found = self.shelf.fill(n, batch, make, lambda done, of: None)
        assert torch.equal(found["x"], torch.arange(n)) and torch.equal(found["y"], -found["x"])


@pytest.mark.parametrize("more", [0, 1, 2, CHUNK - 1, CHUNK, CHUNK + 1])
@pytest.mark.parametrize("kept", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_more_rows_than_are_kept(kept, more, tmp_path):
    rows, n = Rows(tmp_path), kept + more
    rows.fill(kept)
    assert rows.made == list(range(kept))
    rows.made.clear()
    rows.fill(n)
    # a file that lacks rows is made again, whole ones are not
    first = kept if kept % CHUNK == 0 or not more else kept // CHUNK * CHUNK
    assert rows.made == list(range(first, n))
    rows.made.clear()
    rows.fill(kept)
    rows.fill(1)
    assert not rows.made


@pytest.mark.parametrize("batch", [1, CHUNK, 2 * CHUNK, 2 * CHUNK + 1])
def test_a_gap_is_filled_in_batches_of_whole_files(batch, tmp_path):
    rows = Rows(tmp_path)
    rows.fill(4 * CHUNK + 3)
    rows.made.clear()
    for start in (CHUNK, 2 * CHUNK, 4 * CHUNK):
        rows.shelf.path(start).unlink()
    rows.fill(4 * CHUNK + 3, batch)
    assert rows.made == [*range(CHUNK, 3 * CHUNK), *range(4 * CHUNK, 4 * CHUNK + 3)]
