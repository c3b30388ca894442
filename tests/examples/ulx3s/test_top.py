"""The board's top level: pins as constrained; the whole way to a bitstream (slow)."""

import json
import re

import pytest

from examples.ulx3s import build
from examples.ulx3s.build import CONSTRAINTS, main
from examples.ulx3s.top import CLOCK_MHZ, Top
from hqdm.rtl.generate import ports, to_verilog
from hqdm.spec import PRESETS


def test_every_pin_has_a_place():
    found = ports(to_verilog(Top(PRESETS["n4"]), "ulx3s"), "ulx3s")
    names = {f"{p['name']}[{bit}]" if p["width"] > 1 else p["name"]
             for p in found for bit in range(p["width"])}
    text = CONSTRAINTS.read_text()
    assert set(re.findall(r'LOCATE COMP "(\S+)"', text)) == names
    assert set(re.findall(r'IOBUF PORT "(\S+)"', text)) == names
    sites = re.findall(r'SITE "(\S+)"', text)
    assert len(set(sites)) == len(sites)


@pytest.mark.parametrize(("arguments", "text"), [
    (["--config", "n5"], "configuration: wanted one of"),
])
def test_errors(capsys, tmp_path, arguments, text):
    assert main([*arguments, "-o", str(tmp_path)]) == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 1 and text in err[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("megahertz", "status"), [(CLOCK_MHZ - 0.1, 1), (CLOCK_MHZ, 0)])
def test_status_says_whether_the_clock_is_met(tmp_path, monkeypatch, capsys, megahertz, status):
    def place(folder, tools, seed):
        for ending in ("bit", "config"):
            (folder / f"ulx3s.{ending}").write_text(f"seed {seed}")
        return {"used": {"TRELLIS_COMB": 1234}, "fmax_mhz": megahertz}

    monkeypatch.setattr(build, "synthesise", lambda *_: None)
    monkeypatch.setattr(build, "place_and_pack", place)
    assert main(["--seed", "7", "-o", str(tmp_path)]) == status
    assert f"1,234 LUT4, {megahertz:.1f} MHz of {CLOCK_MHZ}" in capsys.readouterr().out
    assert (tmp_path / "ulx3s.bit").read_text() == "seed 7"


@pytest.mark.slow
def test_bitstream(tmp_path):
    status = main(["--config", "n4", "-o", str(tmp_path)])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ulx3s.bit", "ulx3s.config", "ulx3s.report.json"]
    report = json.loads((tmp_path / "ulx3s.report.json").read_text())
    assert status == int(report["fmax_mhz"] < CLOCK_MHZ)
    assert 0 < report["used"]["TRELLIS_COMB"] < 84_000
