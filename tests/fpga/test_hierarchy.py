"""Units of cells: by source line, by the net's driver, by name, by the readers."""

import pytest

from hqdm.fpga.hierarchy import Hierarchy, assign_units, drivers, group

VERILOG = """\
/* generated */
module top(clk, o);
  input clk;
endmodule
module \\top.a (i, o);
  input [3:0] i;
  output [3:0] o;
endmodule
module \\top.a.b$3 (\\i$1 , o);
  input wire \\i$1 ;
endmodule
"""


@pytest.fixture
def hierarchy():
    return Hierarchy(VERILOG, "top")


def cell(inputs=(), outputs=(), src=""):
    return {"attributes": {"src": src} if src else {}, "type": "LUT4",
            "port_directions": {"A": "input", "Z": "output"},
            "connections": {"A": list(inputs), "Z": list(outputs)}}


def test_modules(hierarchy):
    assert hierarchy.units == ["", "a", "a.b$3"]
    assert hierarchy.inputs == {"": {"clk"}, "a": {"i"}, "a.b$3": {"i$1"}}


@pytest.mark.parametrize(("source", "unit"), [
    ("design.v:2.1-2.5", ""), ("design.v:6.3-6.9", "a"), ("design.v:9.1-9.2", "a.b$3"),
    ("/share/cells.v:9.1|design.v:7.1-7.2", "a"), ("/share/cells.v:9.1", None), ("", None),
    ("design.v:1.1", None)])
def test_by_line(hierarchy, source, unit):
    assert hierarchy.by_line(source) == unit


@pytest.mark.parametrize(("name", "parts"), [
    ("clk", ("", "clk")), ("a.o", ("a", "o")), ("a.b$3.o", ("a.b$3", "o")),
    ("a.memory.0.1", ("a", "memory.0.1")), ("axi.addr", ("", "axi.addr"))])
def test_split(hierarchy, name, parts):
    assert hierarchy.split(name) == parts


def test_the_driver_is_the_deepest_output(hierarchy):
    # bit 6 comes in by the input of each, however else it is called inside
    names = {"o": [5], "a.o": [5], "a.b$3.o": [5], "a.i": [6], "clk": [6], "a.x": [6, "0"],
             "a.b$3.i$1": [6], "a.y_LUT4_Z": [7], "a.z": [9], "a.b$3.copy": [6]}
    module = {"netnames": {name: {"bits": bits} for name, bits in names.items()}
              | {"$1": {"bits": [8], "hide_name": 1}}}
    assert drivers(module, hierarchy) == {5: "a.b$3", 9: "a"}


def test_units_of_cells(hierarchy):
    module = {
        "netnames": {"a.x": {"bits": [1]}, "a.b$3.y": {"bits": [2]}},
        "cells": {
            "by_line": cell(src="design.v:9.1"), "by_net": cell(outputs=[1]),
            "a.b$3.y_LUT4_Z_A_LUT4_Z": cell(outputs=[10]), "by_reader": cell(outputs=[11]),
            "reader": cell(inputs=[11], outputs=[2]), "by_second": cell(outputs=[12]),
            "second": cell(inputs=[12], outputs=[11]), "nobody": cell(outputs=[13]),
            "a.rows.0.1": cell(outputs=[2]) | {"type": "DP16KD"}}}
    assert assign_units(module, hierarchy) == {
        "by_line": "a.b$3", "by_net": "a", "a.b$3.y_LUT4_Z_A_LUT4_Z": "a.b$3",
        "reader": "a.b$3", "by_reader": "a.b$3", "second": "a.b$3", "by_second": "a.b$3",
        "nobody": "", "a.rows.0.1": "a"}


@pytest.mark.parametrize(("unit", "row"), [
    ("", "core"), ("load", "load"), ("control$343", "control"),
    ("load.rotate.time_stage0.phase", "load.rotate")])
def test_group(unit, row):
    assert group(unit) == row
