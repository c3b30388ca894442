"""How cells are counted, kind by kind."""

import gzip
import json

import pytest

from hqdm.fpga.area import COLUMNS, count, netlist_area
from hqdm.fpga.synthesis import Design, Netlist


def area_of(tmp_path, *kinds):
    """The area on UltraScale+ of cells of these kinds."""
    cells = {f"cell{i}": {"type": kind, "connections": {}, "port_directions": {},
                          "attributes": {}, "parameters": {}} for i, kind in enumerate(kinds)}
    path = tmp_path / "netlist.json.gz"
    path.write_bytes(gzip.compress(json.dumps(
        {"modules": {"top": {"cells": cells, "netnames": {}, "ports": {}}}}).encode()))
    return netlist_area(Design("made up", "module top (); endmodule", "top"),
                        Netlist(path, "top"))


@pytest.mark.parametrize(("kind", "column", "weight"), [
    *((f"LUT{k}", "lut6", 1) for k in range(1, 7)), ("SRL16E", "lut6", 1), ("SRLC32E", "lut6", 1),
    ("INV", "lut6", 1), ("RAM32M16", "lut6", 8), ("RAM64M8", "lut6", 8), ("RAM32M", "lut6", 4),
    ("RAM64X1D", "lut6", 4), ("CARRY4", "carry", 1), ("CARRY8", "carry", 1), ("FDRE", "ff", 1),
    ("FDSE", "ff", 1), ("FDCE", "ff", 1), ("FDPE", "ff", 1), ("DSP48E2", "dsp", 1),
    ("RAMB36E2", "bram", 1), ("RAMB18E2", "bram", 0.5), ("MUXF7", None, 0), ("BUFG", None, 0)])
def test_the_weight_of_a_cell(kind, column, weight, tmp_path):
    """Of two, as the totals are whole numbers."""
    found = area_of(tmp_path, kind, kind)
    assert {c: found[c] for c in COLUMNS["xcup"]} == {
        c: 2 * weight * (c == column) for c in COLUMNS["xcup"]}


def test_totals_are_the_sums_of_the_units():
    found = count([("a", {"x": 1.0}), ("b", {"x": 2.0, "y": 0.5}), ("b", {"y": 0.5}),
                   ("none", {})], ("x", "y"))
    assert found == {"x": 3, "y": 1, "units": {"b": {"x": 2, "y": 1}, "a": {"x": 1, "y": 0}}}
