"""The threshold of bench.fpga_regression, its table, its file of accepted figures."""

import json

import pytest

from bench import fpga_regression
from bench.fpga_regression import ACCEPTED, TARGETS, compare, main
from hqdm.fpga.build import Options, build, core_design
from hqdm.fpga.devices import device_by_name
from hqdm.spec import PRESETS

OLD = {"lut4": 10_000, "ff": 4_000, "dsp": 20, "bram": 0, "fmax_mhz_median": 100.0}


@pytest.mark.parametrize(("change", "worse"), [
    ({}, []), ({"lut4": 10_500, "fmax_mhz_median": 95.0}, []), ({"lut4": 10_501}, ["lut4"]),
    ({"fmax_mhz_median": 94.9}, ["fmax_mhz_median"]), ({"fmax_mhz_median": 200.0}, []),
    ({"dsp": 22, "ff": 4_300, "lut4": 100}, ["ff", "dsp"]), ({"bram": 1}, ["bram"])])
def test_threshold(change, worse):
    rows = compare(OLD | change, OLD)
    assert [name for name, _, _, is_worse in rows if is_worse] == worse


def test_nothing_accepted():
    assert [row[2:] for row in compare(OLD, {})] == [(None, False)] * 5


@pytest.fixture
def found(monkeypatch):
    """Figures that take the place of a build's."""
    figures = dict(OLD)
    monkeypatch.setattr(fpga_regression, "run", lambda *_, **__: dict(figures))
    return figures


def test_accept_then_regress(found, tmp_path, capsys):
    file = tmp_path / "accepted.json"
    assert main([], file) == 0 and not file.exists()
    assert main(["--accept", "--full"], file) == 0
    assert set(json.loads(file.read_text())) == {f"{c} {d}" for c, d in TARGETS}
    assert main([], file) == 0
    found["lut4"] = 10_600
    capsys.readouterr()
    assert main([], file) == 1
    assert "| lut4 | 10,600 | 1.060 | WORSE |" in capsys.readouterr().out
    assert main(["--threshold", "7"], file) == 0
    assert main(["--accept"], file) == 0 and main([], file) == 0


def test_area_keeps_the_accepted_clock_rate(found, tmp_path):
    file = tmp_path / "accepted.json"
    main(["--accept"], file)
    del found["fmax_mhz_median"]
    found["lut4"] = 9_000
    assert main(["--area", "--accept"], file) == 0
    kept = json.loads(file.read_text())["n4 ecp5-25k"]
    assert (kept["lut4"], kept["fmax_mhz_median"]) == (9_000, 100.0)


def test_bad_file(found, tmp_path, capsys):
    file = tmp_path / "accepted.json"
    file.write_text("{")
    assert main([], file) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.slow
def test_area_of_n4_is_accepted():
    """Synthesis and packing of the whole core: nothing more than 5 % above what was accepted."""
    config, device = TARGETS[0]
    result = build(core_design(PRESETS[config]), device_by_name(device), Options(seeds=()))
    accepted = json.loads(ACCEPTED.read_text())[f"{config} {device}"]
    rows = compare(fpga_regression.figures(result), accepted)
    assert not [row for row in rows if row[-1]]
