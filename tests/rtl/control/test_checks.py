"""WordCheck refuses what spec says: every field at and around the ends of its legal values."""

import pytest
from amaranth.sim import Simulator

from hqdm.rtl.control.checks import WordCheck
from hqdm.spec import PRESETS
from hqdm.spec.descriptor import FIELD, STEP_FIELD
from hqdm.spec.field import used_bits
from tests.spec.descriptor_values import (
    good_descriptor,
    good_step,
    single_changes,
    single_step_changes,
)

CONFIG = PRESETS["n8"]


def words_of(structure):
    """(index, word) of all that the core reads of it."""
    image = structure.encode()
    return [(i, int.from_bytes(image[4 * i:4 * i + 4], "little"))
            for i in range(used_bits(structure.layout()) // 32)]


def refused(words, entry=0, two_passes=0):
    """(index, word) -> number of the word that its bad field begins in, or None if it is good."""
    dut, found, sent = WordCheck(CONFIG), {}, []

    async def main(ctx):
        ctx.set(dut.entry, entry)
        ctx.set(dut.two_passes, two_passes)
        for index, word in [*words, *words[:dut.latency - 1]]:
            ctx.set(dut.index, index)
            ctx.set(dut.word, word)
            sent.append((index, word))
            await ctx.tick()
            if len(sent) >= dut.latency:
                found[sent[-dut.latency]] = ctx.get(dut.field) if ctx.get(dut.bad) else None

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(main)
    simulator.run()
    return found


def check(structures, descriptor, entry=0, two_passes=0):
    """The first bad word of each is that of the first illegal field."""
    images = [words_of(s) for s in structures]
    bad = refused(sorted({pair for image in images for pair in image}), entry, two_passes)
    assert any(bad[pair] is None for pair in images[0])
    for structure, image in zip(structures, images, strict=True):
        got = next((bad[pair] for pair in image if bad[pair] is not None), None)
        wanted = structure.first_illegal(CONFIG, descriptor or structure)
        assert got == (wanted and wanted.word), (structure, wanted)


def test_descriptors_with_one_field_changed():
    check(single_changes(CONFIG), None)


@pytest.mark.parametrize("passes", [1, 2])
def test_step_entries_with_one_field_changed(passes):
    check(single_step_changes(CONFIG), good_descriptor(CONFIG, act_nibbles=passes), entry=1,
          two_passes=passes - 1)


def test_a_good_word_has_no_bad_field():
    assert set(refused(words_of(good_descriptor(CONFIG))).values()) == {None}
    assert set(refused(words_of(good_step()), entry=1).values()) == {None}


def test_the_upper_word_of_an_address_names_the_field():
    upper = FIELD["output"].word + 1
    assert refused([(upper, 1)])[upper, 1] == FIELD["output"].word
    bias = STEP_FIELD["bias"].word
    assert refused([(bias + 1, 1)], entry=1)[bias + 1, 1] == bias
