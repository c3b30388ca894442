"""The questions of `hqdm.rtl.modes` for every legal value of the fields they read."""

import pytest
from amaranth.hdl import Const

from hqdm.rtl import modes
from hqdm.rtl.interfaces import DESCRIPTOR_LAYOUT

