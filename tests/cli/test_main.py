"""The command line as a whole: help, version, and one line with exit code 2 for every failure."""

import subprocess
import sys
from importlib.metadata import version

import pytest
import typer

from hqdm.cli.main import app, main
from tests.commands import command

run = command()

SMALL = ["layer", "--config", "n4", "--backend", "golden", "--size", "4", "4"]
HEAVY = ("amaranth", "diffusers", "matplotlib", "numpy", "safetensors", "torch")


def test_help_describes_every_command(capsys):
    status, out, err = run(capsys, "--help")
    assert status == 0 and not err and "--version" in out
    commands = typer.main.get_command(app).commands
    assert {"layer", "verilog", "configs", "cycles", "fpga", "sample", "models", "train",
            "quantize", "lower", "evaluate"} == set(commands)
    listed = dict(line.split(None, 1) for line in out.partition("Commands:")[2].strip().split("\n"))
    assert set(listed) == set(commands) and all(listed.values())


def test_version(capsys):
    assert run(capsys, "--version") == (0, f"hqdm {version('hqdm')}\n", [])


def test_starting_loads_nothing_heavy():
    found = subprocess.run(
        [sys.executable, "-c", "import sys, hqdm.cli.main; print(*sys.modules)"], text=True,
        check=True, capture_output=True).stdout.split()
    assert "hqdm.cli.main" in found and not set(HEAVY) & set(found)


@pytest.mark.parametrize(("arguments", "text"), [
    ([], "Missing command"), (["paint"], "No such command 'paint'"),
    (["verilog"], "Missing option '-o'"),
    (["verilog", "--config", "n5", "-o", "x.v"], "configuration: wanted one of n4"),
])
def test_bad_command(capsys, arguments, text):
    status, out, err = run(capsys, *arguments)
    assert status == 2 and not out and len(err) == 1 and text in err[0]


@pytest.mark.parametrize(("error", "status", "lines"), [
    (KeyboardInterrupt(), 130, []),
    (RuntimeError("build failed:\n  line"), 2, ["error: build failed: line"]),
    (TimeoutError("no interrupt"), 2, ["error: no interrupt"]),
])
def test_failures_of_a_run(capsys, monkeypatch, error, status, lines):
    def fail(*_, **__):
        raise error
    monkeypatch.setattr("hqdm.sim.compare_layer.compare_layer", fail)
    assert run(capsys, *SMALL) == (status, "", lines)


def test_a_module_that_no_extra_has_is_not_swallowed(monkeypatch):
    monkeypatch.setitem(sys.modules, "hqdm.sim.compare_layer", None)
    with pytest.raises(ModuleNotFoundError, match=r"hqdm\.sim\.compare_layer"):
        main(SMALL)
