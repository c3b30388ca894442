import pytest
from hypothesis import given
from hypothesis import strategies as st

from hqdm.spec import PRESETS
from hqdm.spec.descriptor import (
    DESCRIPTOR_BYTES,
    FIELD,
    FIELDS,
    MAGIC,
    STEP_BYTES,
    STEP_FIELD,
    Descriptor,
    StepEntry,
)
from hqdm.spec.fixed import MAX_ORDER, MAX_SHIFT, MULTIPLIER_BITS, RESIDUAL_SHIFT, symmetric_max
from tests.spec.descriptor_values import (
    good_descriptor,
    good_step,
    single_changes,
    single_step_changes,
)

CONFIG = PRESETS["n8"]
KINDS = pytest.mark.parametrize("kind", [Descriptor, StepEntry])


def structures(kind):
    """Any values that fit."""
    return st.builds(kind, **{f.name: st.integers(0, f.most) for f in kind.layout()})


@KINDS
def test_fields_do_not_overlap_and_stay_inside(kind):
    fields = kind.layout()
    used = [f.shift + bit for f in fields for bit in range(f.bits)]
    assert len(used) == len(set(used))
    assert max(used) < 8 * kind.SIZE
    assert len({f.name for f in fields}) == len(fields)


@KINDS
def test_a_field_crosses_a_word_only_if_it_is_64_bits_on_an_even_word(kind):
    for f in kind.layout():
        assert f.lsb + f.bits <= 32 or (f.bits == 64 and f.lsb == 0 and f.word % 2 == 0)


@given(structures(Descriptor), structures(StepEntry))
def test_what_is_encoded_is_decoded(descriptor, entry):
    assert len(descriptor.encode()) == DESCRIPTOR_BYTES and len(entry.encode()) == STEP_BYTES
    assert Descriptor.decode(descriptor.encode()) == descriptor
    assert StepEntry.decode(entry.encode()) == entry


@given(st.binary(min_size=DESCRIPTOR_BYTES, max_size=DESCRIPTOR_BYTES))
def test_any_bytes_are_some_descriptor(data):
    """Bits of no field are lost."""
    found = Descriptor.decode(data)
    mask = sum(f.most << f.shift for f in FIELDS)
    assert found.encode() == (int.from_bytes(data, "little") & mask).to_bytes(256, "little")


def test_words_are_little_endian():
    zero = {f.name: 0 for f in FIELDS if f.name != "magic"}
    data = Descriptor(**zero | {"width": 0x1234, "source0": 0x1122334455667788}).encode()
    assert data[:4] == b"HQD2"
    assert data[7 * 4:7 * 4 + 4] == bytes([0, 0, 0x34, 0x12])
    assert data[4 * 16:4 * 18] == bytes.fromhex("8877665544332211")


def test_bad_values_are_refused():
    with pytest.raises(ValueError, match=r"descriptor field order: wanted 0\.\.7, got 8"):
        good_descriptor(CONFIG, order=8).encode()
    with pytest.raises(ValueError, match=r"descriptor field width: wanted 0\.\.65535, got -1"):
        good_descriptor(CONFIG, width=-1).encode()
    with pytest.raises(TypeError, match="unknown"):
        good_descriptor(CONFIG, unknown=1)
    values = {f.name: 1 for f in FIELDS if f.name != "kernel"}
    with pytest.raises(TypeError, match="kernel"):
        Descriptor(**values)


@pytest.mark.parametrize(("fields", "name", "largest"), [
    (FIELD, "order", MAX_ORDER), (STEP_FIELD, "low", symmetric_max(8)),
    (STEP_FIELD, "high", symmetric_max(8)),
    (FIELD, "channel_shift", MAX_SHIFT), (STEP_FIELD, "load_shift", MAX_SHIFT),
    (STEP_FIELD, "step_shift", MAX_SHIFT), (STEP_FIELD, "residual_shift", 2 * RESIDUAL_SHIFT),
    (STEP_FIELD, "load_multiplier", (1 << MULTIPLIER_BITS) - 1)])
def test_fields_are_wide_enough_for_the_number_formats(fields, name, largest):
    assert largest <= fields[name].most


# Both ends of what is legal, and what is one beyond and still fits.
DESCRIPTOR_EDGES = {
    "magic": ((MAGIC,), (MAGIC - 1, MAGIC + 1)),
    "config_hash": ((CONFIG.hash,), (CONFIG.hash - 1, CONFIG.hash + 1)),
    "order": ((0, 6), (7,)), "act_nibbles": ((1, 2), (0, 3)), "weight_nibbles": ((1, 2), (0, 3)),
    "weight_bits": ((2, 3, 4), (1, 5)), "residual": ((0, 1, 2), (3,)), "kernel": ((1, 3), (0, 2)),
    "stride": ((1, 2), (0, 3)), "channel_shift": ((0, 47), (48,)), "row_scale": ((0, 1), ()),
} | {name: ((0, FIELD[name].most), ()) for name in
     ("axis", "padding", "upsample", "words1", "row_bytes0", "row_bytes1")
} | {name: ((1, FIELD[name].most), (0,)) for name in
     ("height", "width", "out_height", "out_width", "words0", "out_words", "tile_rows",
      "chunk_words", "chunks", "plane_words", "timesteps")
} | {name: ((0, 16, (1 << 32) - 16), (1, 8, 15, 1 << 32, 1 << 63)) for name in
     ("source0", "source1", "weights", "multipliers", "steps", "second", "output")}
SHIFT, ADDRESS = ((0, 47), (48, 63)), DESCRIPTOR_EDGES["output"]
STEP_EDGES = {
    "load_multiplier": ((1, 65535), (0,)), "load_shift": SHIFT,
    "step_multiplier": ((1, 65535), (0,)), "step_shift": SHIFT, "residual_shift": ((0, 30), (31,)),
    "low": ((0, 15), (16, 127)), "high": ((0, 15), (16, 127)), "bias": ADDRESS,
}


def illegal(structure, descriptor=None):
    found = structure.first_illegal(CONFIG, descriptor or structure)
    return found and found.name


def test_every_field_at_the_ends_of_its_legal_values():
    assert set(DESCRIPTOR_EDGES) == set(FIELD) and set(STEP_EDGES) == set(STEP_FIELD)
    for name, (good, bad) in DESCRIPTOR_EDGES.items():
        assert all(illegal(good_descriptor(CONFIG, **{name: v})) is None for v in good)
        assert all(illegal(good_descriptor(CONFIG, **{name: v})) == name for v in bad)
    for name, (good, bad) in STEP_EDGES.items():
        layer = good_descriptor(CONFIG)
        assert all(illegal(good_step(**{name: v}), layer) is None for v in good)
        assert all(illegal(good_step(**{name: v}), layer) == name for v in bad)


@pytest.mark.parametrize("name", ["low", "high"])
def test_two_passes_have_wider_bounds(name):
    two = good_descriptor(CONFIG, act_nibbles=2)
    assert illegal(good_step(**{name: 119}), two) is None
    assert illegal(good_step(**{name: 120}), two) == name


@pytest.mark.parametrize("residual", [1, 2])
def test_a_row_scale_excludes_a_residual(residual):
    assert illegal(good_descriptor(CONFIG, row_scale=1)) is None
    assert illegal(good_descriptor(CONFIG, row_scale=1, residual=residual)) == "row_scale"


def test_the_values_tried_against_core_and_device_reach_every_field():
    """Each field with a bad value that fits is refused at least once."""
    found = {illegal(d) for d in single_changes(CONFIG)}
    found |= {illegal(s, good_descriptor(CONFIG)) for s in single_step_changes(CONFIG)}
    edges = DESCRIPTOR_EDGES | STEP_EDGES
    assert found == {n for n, (_, bad) in edges.items() if bad} | {None, "row_scale"}
