from types import SimpleNamespace

import pytest

from hqdm.spec import PRESETS
from hqdm.spec.legal import (
    Address,
    Anything,
    ConfigHash,
    Constant,
    Nonzero,
    OneOf,
    Range,
    UpTo,
    Without,
)

CONFIG = PRESETS["n8"]


@pytest.mark.parametrize(("legal", "good", "bad", "text"), [
    (Anything(), (0, 1 << 40), (), "any"),
    (Range(2, 4), (2, 3, 4), (1, 5), "2..4"),
    (OneOf((1, 3)), (1, 3), (0, 2, 4), "1, 3"),
    (Nonzero(), (1, 1 << 31), (0,), "not 0"),
    (Constant(0xAB), (0xAB,), (0, 0xAA), "0x000000AB"),
    (ConfigHash(), (CONFIG.hash,), (CONFIG.hash ^ 1,), "the core's"),
    (Address(), (0, 16, (1 << 32) - 16), (8, 1 << 32), "an aligned address"),
])
def test_legal_values(legal, good, bad, text):
    assert all(legal.allows(value, CONFIG, None) for value in good)
    assert not any(legal.allows(value, CONFIG, None) for value in bad)
    assert str(legal) == text


def test_values_that_depend_on_another_field():
    flag, bound = Without("other"), UpTo("passes", 15, 119)
    for other, passes in ((0, 1), (2, 2)):
        beside = SimpleNamespace(other=other, passes=passes)
        most = 15 if passes == 1 else 119
        assert flag.allows(0, CONFIG, beside)
        assert flag.allows(1, CONFIG, beside) == (other == 0)
        assert bound.allows(most, CONFIG, beside)
        assert not bound.allows(most + 1, CONFIG, beside)
    assert (str(flag), str(bound)) == ("0, or 1 with other 0", "0..15, two passes 0..119")
