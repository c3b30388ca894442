"""`-o` on standard output, on devices, pipes, folders and full disks, as shells give them."""

import json
import os
import subprocess
import sys
from hashlib import sha256

import pytest

from hqdm.rtl.generate import generate_cached
from hqdm.spec import PRESETS
from tests.commands import command

run = command()
VERILOG = ["verilog", "--config", "n4", "-o"]


@pytest.fixture(scope="module")
def text():
    return generate_cached(PRESETS["n4"]).encode()


def hqdm(*arguments, folder, stdout=subprocess.PIPE, **environment):
    """A process of its own in `folder`; (status, bytes of stdout, lines of stderr)."""
    ran = subprocess.run(
        [sys.executable, "-m", "hqdm.cli.main", *map(str, arguments)], cwd=folder, check=False,
        stdout=stdout, stderr=subprocess.PIPE, env=os.environ | environment)
    return ran.returncode, ran.stdout, ran.stderr.decode().splitlines()


def test_a_dash_is_standard_output(tmp_path, text):
    status, out, err = hqdm(*VERILOG, "-", "--json", folder=tmp_path)
    assert status == 0 and out == text and not list(tmp_path.iterdir())
    said = json.loads(err[0])
    assert len(err) == 1 and said["verilog_sha256"] == sha256(text).hexdigest()
    assert said["sidecar"] is None


def test_values_are_whole_where_only_ascii_is(tmp_path, text):
    status, out, err = hqdm(*VERILOG, "x.v", folder=tmp_path, LANG="C", PYTHONIOENCODING="ascii")
    assert status == 0 and not err and sha256(text).hexdigest().encode() in out
    assert (tmp_path / "x.v").read_bytes() == text and out.isascii()
    os.rename(tmp_path / "x.v", tmp_path / "ü.v")
    status, out, err = hqdm(*VERILOG, "ü.v", folder=tmp_path, LANG="C", PYTHONIOENCODING="ascii")
    assert status == 0 and not err and out.isascii() and b"verilog_sha256" in out
    status, out, err = hqdm("cycles", "--config", "n8", "--clock", "1000000", folder=tmp_path,
                            PYTHONIOENCODING="ascii")
    assert status == 0 and not err and b" us per step" in out


@pytest.mark.parametrize(("arguments", "line"), [
    ([*VERILOG, "/dev/full"], "error: /dev/full: could not be written: No space left on device"),
    ([*VERILOG, "."], "error: .: could not be written: it is a directory"),
    (["cycles", "-o", "."], "error: .: could not be written: it is a directory"),
    (["cycles", "--trace", "."], "error: .: could not be written: it is a directory"),
    (["cycles", "-o", "-", "--trace", "-"],
     "error: -: wanted one file on standard output, got two"),
    (["sample", "-o", "."], "error: .: could not be written: it is a directory"),
])
def test_what_cannot_be_written(tmp_path, arguments, line):
    assert hqdm(*arguments, folder=tmp_path) == (2, b"", [line])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_that_is_full_or_closed(tmp_path, unbuffered):
    with open("/dev/full", "wb") as full:
        status, _, err = hqdm("configs", "--json", folder=tmp_path, stdout=full,
                              PYTHONUNBUFFERED=unbuffered)
    assert status == 2 and err == [
        "error: standard output: could not be written: No space left on device"]
    reader, writer = os.pipe()
    os.close(reader)
    for arguments in (["configs"], [*VERILOG, "-"]):
        status, _, err = hqdm(*arguments, folder=tmp_path, stdout=writer,
                              PYTHONUNBUFFERED=unbuffered)
        assert status == 141 and not [line for line in err if "rror" in line]
    os.close(writer)


def test_a_report_into_a_device_and_standard_output(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capfd, "cycles", "--config", "n8", "-o", "-", "--trace", "/dev/null")
    assert status == 0 and out.startswith("<!doctype html>") and "wrote -" in err
    status, out, err = run(capfd, "cycles", "--config", "n8", "--trace", "-", "--json")
    assert status == 0 and "traceEvents" in json.loads(out)
    assert json.loads(err[0])["config"] == "n8" and not list(tmp_path.iterdir())


def test_folders_of_the_user(tmp_path, text):
    """Whose names are those of ours: here, and on PYTHONPATH."""
    for name in ("sim", "spec", "kit", "golden", "rtl", "cli", "models", "firmware"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not yours')\n")
    (tmp_path / "cycles.py").write_text("raise SystemExit('not yours')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    assert hqdm(*VERILOG, "-", folder=tmp_path, PYTHONPATH=path)[:2] == (0, text)
    status, out, _ = hqdm("layer", "--config", "n4", "--backend", "golden", "--size", "4", "4",
                          "--channels", "4", "4", "--json", folder=tmp_path, PYTHONPATH=path)
    assert status == 0 and json.loads(out)["mismatches"] == 0


@pytest.fixture
def generated(monkeypatch, text):
    """The core is generated at once."""
    monkeypatch.setattr("hqdm.rtl.generate.generate", lambda config, prefix: text.decode())


def test_a_home_that_cannot_be_written(capsys, tmp_path, text, generated, monkeypatch):
    """Verilog needs no cache; a simulation does, and says which variable to set."""
    monkeypatch.setenv("HOME", "/dev/null")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert run(capsys, *VERILOG, tmp_path / "x.v")[::2] == (0, [])
    assert (tmp_path / "x.v").read_bytes() == text
    status, out, err = run(capsys, "layer", "--config", "n4", "--size", "4", "4")
    assert (status, out, len(err)) == (2, "", 1)
    assert err[0] == ("error: /dev/null/.cache/hqdm: the build cache could not be written: Not a "
                      "directory; set XDG_CACHE_HOME to a folder that can")


def test_one_bit_of_a_cached_core(capsys, tmp_path, text, generated, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):
        assert run(capsys, *VERILOG, tmp_path / "x.v")[0] == 0
        assert (tmp_path / "x.v").read_bytes() == text
        entry, = tmp_path.glob("hqdm/verilog-n4-*/text")
        altered = bytearray(entry.read_bytes())
        assert altered == text
        altered[len(text) // 2] ^= 1
        entry.write_bytes(altered)
