"""The two arrays that are compared have the same ports; the table."""

from bench.array_structure import ARRAYS, table
from hqdm.rtl.generate import ports, to_verilog
from hqdm.spec.config import PRESETS


def test_both_have_the_same_ports():
    found = [ports(to_verilog(kind(PRESETS["n4"]), "array"), "array") for kind in ARRAYS.values()]
    assert {(p["name"], p["width"]) for p in found[0]} == {
        (p["name"], p["width"]) for p in found[1]}


def test_table():
    row = {"verilog_mb": 0.1, "generation_s": 1.0, "build_s": 2.0}
    text = table({"rows": row | {"cycles_per_s": 3000.0},
                  "a module per cell": row | {"cycles_per_s": 1500.0}})
    assert "| rows | 0.10 MB | 1.0 s | 2.0 s | 3,000 |" in text
    assert "2.00 times the cycles per second" in text
