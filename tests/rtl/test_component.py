"""The base of the hardware blocks hides nothing from Python."""

import pytest
from amaranth import *
from amaranth.lib.wiring import In

from hqdm.rtl.component import Component


class Block(Component):
    """A block with one port."""

    def __init__(self):
        super().__init__({"i": In(3)})

    def elaborate(self, platform):
        return Module()


def test_a_name_that_is_no_port_is_refused():
    block = Block()
    Fragment.get(block, None)
    assert len(block.i) == 3
    with pytest.raises(AttributeError, match="'Block' object has no attribute 'o'"):
        print(block.o)
