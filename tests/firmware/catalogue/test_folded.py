"""What is folded, in parts; that all parts together are right is in test_configurations.py."""

import json
from pathlib import Path

import pytest

from hqdm.firmware.catalogue.library import read_model, with_tokens
from hqdm.firmware.catalogue.shapes import lower_shapes
from tests.firmware.catalogue.test_configurations import fields


@pytest.fixture
def folded(tmp_path):
    def folded(name, tokens):
        path = Path(tmp_path / "m.json")
        path.write_text(json.dumps(fields(name)))
        found = lower_shapes(with_tokens(read_model(str(path)), tokens))
        return {f.what: f.macs for f in found.folded}
    return folded


def test_keys_and_values_grow_with_the_tokens(folded):
    few, many = folded("small-text", 5), folded("small-text", 9)
    assert list(few) == ["time embedding", "keys and values of the context"]
    what = "keys and values of the context"
    assert few[what] * 9 == many[what] * 5
    assert few["time embedding"] == many["time embedding"]


def test_to_one_token_all_of_the_attention_is_folded(folded):
    one = folded("small-text", 1)
    assert list(one) == ["time embedding", "cross-attention to one token"]
    assert one["cross-attention to one token"] > folded("small-text", 9)[
        "keys and values of the context"]


def test_what_makes_the_context_is_folded(folded):
    """40 channels of text to 64, row by row; pooled text is in the time embedding."""
    assert folded("small-simple", 9)["projection of the context"] == 9 * 40 * 64
    rows = 6 * 2 * 40 * 40 + 2 * 6 * 40 - 5 * 2 * 40 * 40 - 2 * 5 * 40    # one token more
    five, four = (folded("small-simple", n)["time embedding"] for n in (5, 4))
    assert five - four == rows
