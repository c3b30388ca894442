from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from hqdm.spec import PRESETS
from hqdm.spec.field import Structure, at, used_bits
from hqdm.spec.legal import Address, Nonzero, Range

CONFIG = PRESETS["n8"]


@dataclass(frozen=True, kw_only=True)
class Pair(Structure):
    SIZE: ClassVar[int] = 32

    second: int = at(5, 4, 3, "later in memory, checked first in the core", Range(1, 5))
    first: int = at(1, 8, 8, "earlier in memory", Nonzero(), default=7)
    place: int = at(2, 0, 64, "an address", Address())


def test_a_structure_is_its_fields_where_they_are_declared():
    image = Pair(second=5, place=0x1122334455667788).encode()
    assert image == bytes.fromhex("00000000 00070000 8877665544332211 00000000 50000000") + bytes(8)
    assert Pair.decode(image) == Pair(second=5, first=7, place=0x1122334455667788)
    assert [(f.name, f.shift, f.most) for f in Pair.layout()] == [
        ("second", 164, 7), ("first", 40, 255), ("place", 64, (1 << 64) - 1)]
    assert used_bits(Pair.layout()) == 6 * 32 and used_bits(Pair.layout()[1:]) == 4 * 32


def test_what_does_not_fit_is_refused():
    good = Pair(second=1, place=0)
    with pytest.raises(ValueError, match=r"descriptor field second: wanted 0\.\.7, got 8"):
        replace(good, second=8).encode()
    with pytest.raises(ValueError, match=r"descriptor field first: wanted 0\.\.255, got -1"):
        replace(good, first=-1).encode()
    with pytest.raises(ValueError, match="Pair: wanted 32 bytes, got 31"):
        Pair.decode(bytes(31))


def test_the_first_illegal_field_is_the_first_in_memory():
    good = Pair(second=1, place=16)
    assert good.first_illegal(CONFIG, good) is None
    assert replace(good, second=0).first_illegal(CONFIG, good).name == "second"
    assert replace(good, second=0, place=8, first=0).first_illegal(CONFIG, good).name == "first"
    assert replace(good, second=0, place=8).first_illegal(CONFIG, good).name == "place"


def test_only_addresses_move_and_none_stays_none():
    assert Pair(second=1, place=48).moved(-32) == Pair(second=1, place=16)
    assert Pair(second=1, place=0).moved(-32) == Pair(second=1, place=0)
