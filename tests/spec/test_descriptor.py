import random

import pytest

from hqdm.spec.descriptor import (
    DESCRIPTOR_BYTES,
    DESCRIPTOR_WORDS,
    FIELDS,
    MAGIC,
    STEP_BYTES,
    STEP_FIELDS,
    STEP_WORDS,
    pack_descriptor,
    pack_step,
    unpack,
)
from hqdm.spec.fixed import MAX_ORDER, MAX_SHIFT, MULTIPLIER_BITS, RESIDUAL_SHIFT, symmetric_max

TABLES = pytest.mark.parametrize(
    ("fields", "words"), [(FIELDS, DESCRIPTOR_WORDS), (STEP_FIELDS, STEP_WORDS)],
    ids=["descriptor", "step"])


def values(fields, seed):
    rng = random.Random(seed)
    return {f.name: rng.getrandbits(f.bits) for f in fields if f.name != "magic"}


@TABLES
def test_fields_do_not_overlap_and_stay_inside(fields, words):
    used = [32 * f.word + f.lsb + bit for f in fields for bit in range(f.bits)]
    assert len(used) == len(set(used))
    assert max(used) < 32 * words
    assert len({f.name for f in fields}) == len(fields)


@TABLES
def test_a_field_crosses_a_word_only_if_it_is_64_bits_on_an_even_word(fields, words):
    for f in fields:
        assert f.lsb + f.bits <= 32 or (f.bits == 64 and f.lsb == 0 and f.word % 2 == 0)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_packed_is_unpacked(seed):
    wanted = values(FIELDS, seed)
    data = pack_descriptor(wanted)
    assert len(data) == DESCRIPTOR_BYTES
    assert unpack(FIELDS, data) == {"magic": MAGIC} | wanted
    step = values(STEP_FIELDS, seed)
    assert len(pack_step(step)) == STEP_BYTES
    assert unpack(STEP_FIELDS, pack_step(step)) == step


def test_words_are_little_endian():
    zero = {f.name: 0 for f in FIELDS if f.name != "magic"}
    data = pack_descriptor(zero | {"width": 0x1234, "source0": 0x1122334455667788})
    assert data[:4] == b"HQD2"
    assert data[7 * 4:7 * 4 + 4] == bytes([0, 0, 0x34, 0x12])
    assert data[4 * 16:4 * 18] == bytes.fromhex("8877665544332211")


def test_bad_values_are_refused():
    good = values(FIELDS, 1)
    with pytest.raises(ValueError, match=r"descriptor field order: wanted 0\.\.7, got 8"):
        pack_descriptor(good | {"order": 8})
    with pytest.raises(ValueError, match=r"descriptor field width: wanted 0\.\.65535, got -1"):
        pack_descriptor(good | {"width": -1})
    with pytest.raises(ValueError, match="descriptor: wanted the fields"):
        pack_descriptor(good | {"unknown": 1})
    del good["kernel"]
    with pytest.raises(ValueError, match="descriptor: wanted the fields"):
        pack_descriptor(good)


@pytest.mark.parametrize(("fields", "name", "largest"), [
    (FIELDS, "order", MAX_ORDER), (STEP_FIELDS, "low", symmetric_max(8)),
    (STEP_FIELDS, "high", symmetric_max(8)),
    (FIELDS, "channel_shift", MAX_SHIFT), (STEP_FIELDS, "load_shift", MAX_SHIFT),
    (STEP_FIELDS, "step_shift", MAX_SHIFT), (STEP_FIELDS, "residual_shift", 2 * RESIDUAL_SHIFT),
    (STEP_FIELDS, "load_multiplier", (1 << MULTIPLIER_BITS) - 1)])
def test_fields_are_wide_enough_for_the_number_formats(fields, name, largest):
    assert largest < 1 << next(f.bits for f in fields if f.name == name)
