"""The table of docs/fpga.md is that of docs/fpga.json; taking in reports."""

import json

import pytest

from bench.fpga_table import BEGIN, DOCS, END, main, merge, replace, table

REPORT = {
    "config": "n4", "device": "ecp5-25k", "flow": "placed and routed, out of context",
    "use_dsp": True, "fits": True, "lut4": 12_144, "carry": 900, "ff": 4_000, "dsp": 14,
    "bram": 0, "fmax_mhz_median": 101.25, "fmax_mhz_best": 110.0, "units": {},
    "fmax_mhz": {"1": 101.25, "2": 110.0, "3": 99.0}, "verilog_sha256": "0123456789",
    "available": {"lut4": 24_288, "ff": 24_288, "dsp": 28, "bram": 56},
    "hadamard_and_array": {"hadamard": {"lut4": 700, "dsp": 0}, "array": {"lut4": 90, "dsp": 8}}}


def test_page_is_up_to_date():
    results = json.loads((DOCS / "fpga.json").read_text())
    page = (DOCS / "fpga.md").read_text()
    assert replace(page, table(results)) == page, (
        "docs/fpga.md is out of date: run python -m bench.fpga_table")


def test_rows():
    lines = table(merge({}, [REPORT])).splitlines()
    assert lines[2] == (
        "| n4 | ecp5-25k | 12,144 (50%) | 900 | 4,000 (16%) | 14 (50%) | 0 (0%) | "
        "101.2 (110.0) | 3 | 700 | 90 + 8 | 01234567 |")
    assert "| 3 (router2) |" in table(merge({}, [REPORT | {"router": "router2"}]))
    large = REPORT | {"fits": False, "fmax_mhz_median": None, "use_dsp": False}
    assert "| ecp5-25k without DSP |" in table(merge({}, [large]))
    assert "| does not fit | - |" in table(merge({}, [large]))
    ultrascale = {name: value for name, value in REPORT.items() if name not in (
        "lut4", "fits", "available", "fmax_mhz")} | {
            "device": "xcup", "lut6": 9_000, "fmax_mhz_median": None, "hadamard_and_array": None}
    assert "| n4 | xcup | 9,000 | 900 | 4,000 | 14 | 0 | synthesis only | - | - | - |" in table(
        merge({}, [ultrascale]))


def test_reports_replace_their_own(tmp_path, capsys):
    (tmp_path / "fpga.md").write_text(f"before\n{BEGIN}old\n{END}after\n")
    report = tmp_path / "report.json"
    report.write_text(json.dumps(REPORT))
    assert main([str(report)], tmp_path) == 0
    report.write_text(json.dumps(REPORT | {"lut4": 11_000}))
    assert main([str(report)], tmp_path) == 0
    page = (tmp_path / "fpga.md").read_text()
    assert page.startswith("before\n") and page.endswith("after\n") and "old" not in page
    assert "11,000" in page and "12,144" not in page
    assert "11,000" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["[]", "{", '{"config": "n4"}'])
def test_bad_report(tmp_path, capsys, text):
    (tmp_path / "fpga.md").write_text(BEGIN + END)
    report = tmp_path / "report.json"
    report.write_text(text)
    assert main([str(report)], tmp_path) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert (tmp_path / "fpga.md").read_text() == BEGIN + END
