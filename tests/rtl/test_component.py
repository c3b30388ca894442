"""The base of the hardware blocks hides nothing from Python."""

import pytest
from amaranth.lib.wiring import In

from hqdm.rtl.component import Component


def test_a_name_that_is_no_port_is_refused():
    block = Component({"i": In(3)})
    assert len(block.i) == 3
    with pytest.raises(AttributeError, match="'Component' object has no attribute 'o'"):
        print(block.o)
