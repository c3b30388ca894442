"""Every property of the short run holds, and fails when its unit is broken on purpose."""

from unittest.mock import patch

import pytest
from amaranth import Cat, Const

import hqdm.rtl.rounding
from formal.catalogue import PROPERTIES, find
from hqdm.rtl.multiply.cell import CELLS, BoothCell, PackedCell

SHORT = [item for item in PROPERTIES if not item.long]


@pytest.mark.parametrize("item", SHORT, ids=lambda item: item.name)
def test_it_holds_and_sees_defects(item):
    system = item.compile()
    verdict = item.check(system)
    assert verdict.holds, f"{verdict}; {verdict.trace}"
    broken = item.broken(system)
    assert broken or item.cycles == 1       # one cycle: no registers, see below
    assert any(map(item.sees, broken)) or not broken


def _rounded(x, bits, *, up, over):
    whole = Cat(x.bits[1:bits], x.sign ^ over, x.sign).as_signed()
    return whole, up & ~over


def ties_up(x, bits):
    return _rounded(x, bits, up=x.bits[0], over=x.over | (x.bits[bits] ^ x.sign))


def ties_of_a_part(x, bits):
    """Looks at the half alone, not at what is below it."""
    return _rounded(x, bits, up=x.bits[0] & x.bits[1], over=x.over | (x.bits[bits] ^ x.sign))


def wraps(x, bits):
    """Forgets what was left out above."""
    return _rounded(x, bits, up=x.bits[0] & (x.sticky | x.bits[1]), over=x.bits[bits] ^ x.sign)


@pytest.mark.parametrize("wrong", [ties_up, ties_of_a_part, wraps])
def test_wrong_rounding_is_seen(wrong):
    item = find("arithmetic.rounding")
    with patch.object(hqdm.rtl.rounding, "floor", wrong):
        verdict = item.check(item.compile())
    assert (verdict.holds, verdict.failed) == (False, "rounded")


class NoBorrow(PackedCell):
    """Takes the lower field as it is, as if it had borrowed nothing."""

    def lower(self, registered, width):
        field = registered[0][:self.bits + 3]
        return Cat(field, Const(0, width - len(field)))


class BorrowFromTheField(PackedCell):
    """Takes the lower field's top bit for its sign: wrong for -8 * -512 alone."""

    def lower(self, registered, width):
        field = registered[0][:self.bits + 3]
        return Cat(field, field[-1].replicate(width - len(field)))


class NoCarry(BoothCell):
    """Complements the lower digit's multiple without adding one."""

    def products(self, registered):
        return [(value, Const(0, 1)) for value, _ in super().products(registered)]


@pytest.mark.parametrize(("name", "wrong"), [
    ("packed", NoBorrow), ("packed", BorrowFromTheField), ("booth", NoCarry)])
def test_a_wrong_cell_is_seen(name, wrong):
    item = find(f"cell.{name}")
    with patch.dict(CELLS, {name: wrong}):
        verdict = item.check(item.compile())
    assert not verdict.holds and verdict.failed.startswith("product")
