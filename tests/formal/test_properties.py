"""Every property of the short run holds, and fails when its unit is broken on purpose."""

from unittest.mock import patch

import pytest
from amaranth import Cat

import rtl.rounding
from formal.catalogue import PROPERTIES, find
from formal.defects import defects

SHORT = [item for item in PROPERTIES if not item.long]


@pytest.mark.parametrize("item", SHORT, ids=lambda item: item.name)
def test_it_holds_and_sees_defects(item):
    system = item.compile()
    verdict = item.check(system)
    assert verdict.holds, f"{verdict}; {verdict.trace}"
    if item.cycles != 1:        # one cycle: no registers, see below
        assert any(item.sees(broken) for _, broken in defects(system))


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
    with patch.object(rtl.rounding, "floor", wrong):
        verdict = item.check(item.compile())
    assert (verdict.holds, verdict.failed) == (False, "rounded")
