"""Configurations by name and by file."""

from dataclasses import replace

import pytest

from hqdm.spec import PRESETS, Config
from hqdm.spec.config_file import read_config

MINE = {"n": 16, "buffer_words": 2048, "acc_words": 256}


def test_names_and_files(write):
    assert read_config("n16") is PRESETS["n16"]
    mine = Config(name="mine", n=16, buffer_words=2048, acc_words=256)
    assert read_config(write(MINE)) == mine
    assert read_config(write(MINE | {"name": "x", "operand_bits": 12})) == replace(
        mine, name="x", operand_bits=12)


@pytest.mark.parametrize(("content", "text"), [
    ("[", r"wanted JSON, got"),
    ([], r"wanted an object of name, n, buffer_words, .* got list"),
    ({}, r"\(at least acc_words, buffer_words, n\), got none"),
    ({"n": 16}, r"\(at least acc_words, buffer_words, n\), got n"),
    (MINE | {"lanes": 8}, r"wanted an object of .*, got n, buffer_words, acc_words, lanes"),
    (MINE | {"n": "16"}, r"wanted n of type int, got '16'"),
    (MINE | {"n": True}, r"wanted n of type int, got True"),
    (MINE | {"name": 3}, r"wanted name of type str, got 3"),
    (MINE | {"n": 17}, r"n: wanted a power of two in 4..64, got 17"),
])
def test_a_bad_file_is_refused(write, content, text):
    with pytest.raises(ValueError, match=text):
        read_config(write(content))


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"wanted one of n4, .* or a JSON file, got 'n5'"):
        read_config("n5")
