"""Verilog and sidecar of the core."""

import hashlib
import json
import re
from dataclasses import replace

import pytest

from hqdm.rtl.generate import generate, generate_cached, ports, sidecar, top_name, write_verilog
from hqdm.spec.config import PRESETS

CONFIG = PRESETS["n4"]
VERILOG_SHA256 = "107a4f542e0ad85cc3d9bbdaf8fc47e20dcf90f5ea07deee9fabc2a8f876fb79"


def test_generation_is_deterministic_and_cached():
    text = generate(CONFIG)
    assert text == generate(CONFIG) == generate_cached(CONFIG)


def test_the_hardware_is_the_recorded_one():
    """A refactoring leaves the Verilog as it is; a change of hardware records the new hash."""
    text = generate_cached(CONFIG)
    assert hashlib.sha256(text.encode()).hexdigest() == VERILOG_SHA256


def test_no_combinational_process():
    """In SystemVerilog, `always @*` does not run before one of its inputs changes."""
    assert "always @*" not in generate_cached(CONFIG)


def modules(text):
    return set(re.findall(r"^module ([^\s(]+)", text, re.M))


def test_two_cores_in_one_design(tmp_path):
    """Cores of two configurations, and one more of the first under another name."""
    other = PRESETS["n8"]
    texts = [generate_cached(CONFIG), generate_cached(other), generate_cached(CONFIG, prefix="b")]
    names = [modules(text) for text in texts]
    assert names[1].isdisjoint(names[0]) and names[2].isdisjoint(names[0] | names[1])
    assert all(any(name in own for name in ("hqdm_n4", "hqdm_n8", "b")) for own in names)
    assert texts[2] == re.sub(r"\bhqdm_n4\b", "b", texts[0])


@pytest.mark.parametrize("prefix", ["", "2nd", "a.b", "a b", "ä"])
def test_no_name_of_verilog(prefix):
    with pytest.raises(ValueError, match="--prefix: wanted letters, digits and _"):
        top_name(CONFIG, prefix)


def test_the_name_of_a_configuration_becomes_one_of_verilog():
    assert top_name(replace(CONFIG, name="my core-2")) == "hqdm_my_core_2"


def test_no_wire_is_named_after_a_bit():
    """Yosys' ABC9 joins a wire named `x[1]` with bit 1 of `x`."""
    assert not re.search(r"\\[^ ]*\[", generate_cached(CONFIG))


def test_sidecar_describes_the_ports():
    text = generate_cached(CONFIG)
    description = sidecar(CONFIG, text, "hqdm_n4")
    found = {p["name"]: (p["direction"], p["width"]) for p in description["ports"]}
    assert found["aclk"] == found["aresetn"] == ("input", 1)
    assert found["interrupt"] == ("output", 1)
    assert found["m_axi_load__araddr"] == ("output", CONFIG.address_bits)
    assert found["m_axi_store__wdata"] == ("output", CONFIG.bus_bits)
    assert found["s_axil__wdata"] == ("input", 32)
    assert description["config_hash"] == f"0x{CONFIG.hash:08x}"
    assert description["config"]["buffer_words"] == CONFIG.buffer_words


def test_unknown_module():
    with pytest.raises(ValueError, match="verilog: wanted a module hqdm_n4, found none"):
        ports("module other(); endmodule", "hqdm_n4")


def test_both_files_are_written(tmp_path):
    output = tmp_path / "core.v"
    assert write_verilog(CONFIG, output)["top"] == top_name(CONFIG)
    description = json.loads((tmp_path / "core.v.json").read_text())
    assert description["verilog_sha256"] == hashlib.sha256(output.read_bytes()).hexdigest()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["core.v", "core.v.json"]
