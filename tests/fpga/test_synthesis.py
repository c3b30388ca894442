"""A netlist is refused where two outputs drive one net."""

import pytest

from hqdm.fpga.devices import DEVICES
from hqdm.fpga.synthesis import check_drivers, synthesise
from hqdm.fpga.tools import Tools
from tests.fpga.designs import Pair, design


def test_one_driver_of_every_net(cache):
    netlist = synthesise(design(Pair()), DEVICES["ecp5-25k"], Tools(), cache=cache)
    module = netlist.module()
    check_drivers(module)
    first, second = ([(cell, bits) for cell in module["cells"].values()
                      for port, bits in cell["connections"].items()
                      if cell["type"] == "TRELLIS_FF" and port == "Q"][i] for i in (0, 1))
    second[1][0] = first[1][0]
    with pytest.raises(RuntimeError, match=r"wanted one driver of every net, got .*Q and .*Q on"):
        check_drivers(module)


def test_a_cell_that_drives_an_input():
    module = {"ports": {"clk": {"direction": "input", "bits": [2]}},
              "cells": {"a": {"connections": {"Z": [2]}, "port_directions": {"Z": "output"}}}}
    with pytest.raises(RuntimeError, match=r"got input clk and a\.Z on net 2"):
        check_drivers(module)
