from dataclasses import replace

import pytest

from hqdm.spec import PRESETS, Config, config_by_name


@pytest.mark.parametrize("n", [4, 8, 16, 32, 64])
def test_presets_are_named_by_their_array(n):
    config = config_by_name(f"n{n}")
    assert config.n == n
    assert (config.lanes, config.store_lanes) == (n // 2, n // 4)
    assert config.bus_bits == 8 * config.bus_bytes == 16 * config.lanes
    assert config.word_bytes == 2 * config.bus_bytes


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="wanted one of n4, n8, n16, n32, n64, got 'n5'"):
        config_by_name("n5")


@pytest.mark.parametrize(("field", "value", "text"), [
    ("n", 12, r"n: wanted a power of two in 4\.\.64, got 12"),
    ("n", 2, r"n: wanted a power of two in 4\.\.64, got 2"),
    ("n", 128, r"n: wanted a power of two in 4\.\.64, got 128"),
    ("buffer_words", 1000, "buffer_words: wanted a power of two"),
    ("acc_words", 8, r"acc_words: wanted a power of two in 16\.\.4096, got 8"),
    ("max_outstanding", 128, r"max_outstanding: wanted a power of two in 2\.\.64, got 128"),
    ("operand_bits", 7, r"operand_bits: wanted 8\.\.16, got 7"),
    ("address_bits", 65, r"address_bits: wanted 16\.\.64, got 65"),
    ("cell", "dsp", "cell: wanted one of multiply, packed, booth, got 'dsp'"),
    ("booth_rows", 17, r"booth_rows: wanted 0\.\.16, got 17"),
])
def test_a_parameter_out_of_range_is_refused(field, value, text):
    with pytest.raises(ValueError, match=text):
        replace(PRESETS["n16"], **{field: value})


@pytest.mark.parametrize("field", ["n", "buffer_words", "acc_words", "max_outstanding",
                                   "operand_bits", "address_bits"])
def test_the_hash_follows_every_parameter_but_the_name(field):
    config = PRESETS["n16"]
    assert replace(config, name="other").hash == config.hash
    value = getattr(config, field)
    other = value + 1 if field.endswith("_bits") else 2 * value
    assert replace(config, **{field: other}).hash != config.hash
    assert 0 <= config.hash < 1 << 32


def test_the_hash_does_not_say_what_multiplies():
    config = PRESETS["n16"]
    assert replace(config, cell="booth").hash == replace(config, booth_rows=0).hash == config.hash


def test_the_last_rows_may_be_booth_cells():
    config = replace(PRESETS["n4"], booth_rows=1)
    assert config.row_cells == ("packed", "packed", "packed", "booth")
    assert config.row_cell(3) == "booth"
    assert replace(config, cell="booth").row_cells == ("booth",) * 4


def test_the_hashes_of_the_presets_differ():
    assert len({c.hash for c in PRESETS.values()}) == len(PRESETS)


@pytest.mark.parametrize(("n", "bits", "beats"), [
    (4, 2, 1), (4, 3, 2), (4, 4, 2), (16, 2, 4), (16, 3, 6), (16, 4, 8)])
def test_a_weight_tile_is_padded_to_whole_beats(n, bits, beats):
    config = PRESETS[f"n{n}"]
    assert config.weight_tile_beats(bits) == beats
    assert (beats - 1) * config.bus_bits < n * n * bits <= beats * config.bus_bits


def test_words_hold_all_channels():
    config = Config(name="t", n=8, buffer_words=64, acc_words=16)
    assert [config.words(c) for c in (1, 8, 9, 16, 17)] == [1, 1, 2, 2, 3]


@pytest.mark.parametrize("config", PRESETS.values(), ids=lambda c: c.name)
def test_the_array_sum_has_room_for_its_worst_case(config):
    worst = config.n * (1 << (config.operand_bits - 1)) * 8
    assert worst <= 1 << (config.partial_sum_bits - 1)
