"""Verilog and sidecar of the core."""

import hashlib
import json
import re

import pytest

from hqdm.rtl.generate import TOP, generate, generate_cached, ports, sidecar, write_verilog
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


def test_both_files_are_written(tmp_path):
    output = tmp_path / "core.v"
    assert write_verilog(CONFIG, output)["top"] == TOP
    description = json.loads((tmp_path / "core.v.json").read_text())
    assert description["verilog_sha256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["core.v", "core.v.json"]
