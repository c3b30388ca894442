"""The comparison of cells, on figures and on one small row synthesised for real."""

from dataclasses import replace

from bench import cells
from hqdm.spec.config import PRESETS

FOUND = {"packed": {"lut4": 18.0, "carry": 8.0, "dsp": 0.5},
         "multiply": {"lut4": 18.0, "carry": 9.0, "dsp": 1.0},
         "booth": {"lut4": 50.0, "carry": 16.0, "dsp": 0.0},
         "* of LUTs": {"lut4": 125.0, "carry": 20.0, "dsp": 0.0}}


def test_table_and_ratios():
    assert cells.ratios(FOUND) == {"booth_over_product": 0.4, "packed_cells_per_dsp": 2.0}
    text = cells.table(FOUND)
    assert "| packed | 18.0 | 8.0 | 0.5 |" in text
    assert "Booth over * of LUTs: 0.40; elements per multiplier, packed: 2" in text


def test_two_columns_share_a_multiplier(monkeypatch, tmp_path):
    monkeypatch.setattr(cells, "CONFIG", replace(PRESETS["n4"], operand_bits=8))
    row = cells.measure("packed", True, tmp_path)
    assert row["dsp"] == 0.5
    assert row["lut4"] < 25
