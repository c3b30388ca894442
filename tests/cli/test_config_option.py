"""A configuration of one's own: every command that takes a preset takes its file."""

import json

import pytest

from hqdm.cli.main import main

MODULE = "module hqdm_my_core(aclk);\n  input aclk;\nendmodule\n"      # all that is asked
MINE = {"n": 8, "buffer_words": 1024, "acc_words": 256}     # as little as a file may say


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.setattr("hqdm.rtl.generate.generate", lambda config, prefix: MODULE)
    monkeypatch.setattr("hqdm.fpga.build.build", lambda design, *_: {"config": design.name})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "my core.json").write_text(json.dumps(MINE))
    return str(tmp_path / "my core.json")


@pytest.mark.parametrize("command", [
    ["verilog", "-o", "/dev/null"], ["cycles"], ["fpga"],
    ["layer", "--backend", "golden", "--size", "4", "4", "--channels", "8", "8"]])
def test_a_file_is_taken(capsys, mine, command):
    assert main([*command, "--config", mine, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["config"]
    assert (found["name"] if isinstance(found, dict) else found) == "my core"


def test_sample_takes_it_too(capsys, mine, tiny_folder, monkeypatch, tmp_path):
    import hqdm.sim.compare_layer
    make = hqdm.sim.compare_layer.make_transport
    monkeypatch.setattr(hqdm.sim.compare_layer, "make_transport",
                        lambda backend, *rest, **more: make("golden", *rest, **more))
    assert main(["sample", "--model", str(tiny_folder), "--steps", "2", "-n", "1", "--guidance",
                 "1", "--backend", "rtl", "--config", mine, "-o", "/dev/null", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["config"] == "my core" and found["mismatches"] == 0
    assert not (tmp_path / "null.state").exists()
