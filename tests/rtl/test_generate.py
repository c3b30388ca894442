"""Verilog and sidecar of the core."""

import hashlib
import json
import re

import pytest

from hqdm.kit.cache import build_once
from hqdm.rtl.__main__ import main
from hqdm.rtl.generate import TOP, generate, generate_cached, ports, sidecar
from hqdm.spec.config import PRESETS

CONFIG = PRESETS["n4"]
VERILOG_SHA256 = "a03fe3e408ad7d21ca9ecc7db307f97bfc3ccddfbb1e8ee4f394623b6142489d"


def test_generation_is_deterministic_and_cached():
    text = generate(CONFIG)
    assert text == generate(CONFIG) == generate_cached(CONFIG)


def test_the_hardware_is_the_recorded_one():
    """A refactoring leaves the Verilog as it is; a change of hardware records the new hash."""
    text = generate_cached(CONFIG)
    assert hashlib.sha256(text.encode()).hexdigest() == VERILOG_SHA256


def test_no_process_without_inputs():
    """A simulator never runs an `always @*` that reads nothing; see sim/tests/test_runner.py."""
    assert not re.search(r"^  always @\*\n", generate_cached(CONFIG), re.M)


def test_no_wire_is_named_after_a_bit():
    """Yosys' ABC9 joins a wire named `x[1]` with bit 1 of `x`."""
    assert not re.search(r"\\[^ ]*\[", generate_cached(CONFIG))


def test_sidecar_describes_the_ports():
    text = generate_cached(CONFIG)
    description = sidecar(CONFIG, text)
    found = {p["name"]: (p["direction"], p["width"]) for p in description["ports"]}
    assert found["aclk"] == found["aresetn"] == ("input", 1)
    assert found["interrupt"] == ("output", 1)
    assert found["m_axi_load__araddr"] == ("output", CONFIG.address_bits)
    assert found["m_axi_store__wdata"] == ("output", CONFIG.bus_bits)
    assert found["s_axil__wdata"] == ("input", 32)
    assert description["config_hash"] == f"0x{CONFIG.hash:08x}"
    assert description["config"]["buffer_words"] == CONFIG.buffer_words


def test_unknown_module():
    with pytest.raises(ValueError, match="verilog: wanted a module hqdm_core, found none"):
        ports("module other(); endmodule")


def test_command_writes_both_files(tmp_path, capsys):
    output = tmp_path / "core.v"
    assert main(["--config", "n4", "-o", str(output)]) == 0
    assert TOP in capsys.readouterr().out
    description = json.loads((tmp_path / "core.v.json").read_text())
    assert description["verilog_sha256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["core.v", "core.v.json"]


def test_command_refuses_an_unknown_configuration(tmp_path, capsys):
    assert main(["--config", "n5", "-o", str(tmp_path / "core.v")]) == 2
    assert "wanted one of n4" in capsys.readouterr().err


def test_a_failed_build_leaves_nothing(tmp_path):
    def fail(directory):
        (directory / "half").write_text("done")
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        build_once("thing", fail, tmp_path)
    assert not [p for p in tmp_path.iterdir() if p.is_dir()]
    made = build_once("thing", lambda d: (d / "all").write_text("done"), tmp_path)
    assert build_once("thing", fail, tmp_path) == made


def test_leftovers_of_a_killed_build_go(tmp_path):
    for name in ("thing.killed", "thing2.other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").touch()
    build_once("thing", lambda d: None, tmp_path)
    assert not (tmp_path / "thing.killed").exists()
    assert (tmp_path / "thing2.other").exists()
