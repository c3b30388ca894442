"""The board's top level: pins as constrained; the whole way to a bitstream (slow)."""

import re

import pytest

from examples.ulx3s.build import CONSTRAINTS, main
from examples.ulx3s.top import Top
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


@pytest.mark.slow
def test_bitstream(tmp_path):
    assert main(["--config", "n4", "-o", str(tmp_path)]) in (0, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ulx3s.bit", "ulx3s.config", "ulx3s.report.json"]
