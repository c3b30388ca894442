"""kill -9 in the middle, a full disk, two at once: the same bytes in the end, nothing left behind.

`-m slow`, as real builds, samples and quantisations are killed; -rP shows what each said.
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from hqdm.kit.cache import cache_root, holds
from hqdm.kit.tensor_file import load_checkpoint
from hqdm.learn.qat.export import KIND
from tests.tiny_models import tiny_models, write_unet

pytestmark = pytest.mark.slow

LAYER = ["layer", "--config", "n4", "--size", "4", "4", "--channels", "4", "4", "--json"]
QUANTIZE = ["quantize", "--iterations", "4", "--batch", "2", "--trajectories", "2", "--steps", "5",
            "--device", "cpu", "--json"]
MINUTES = 15


def start(*arguments, **environment):
    print("$ hqdm", *arguments)
    return subprocess.Popen(
        [sys.executable, "-m", "hqdm.cli.main", *map(str, arguments)], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | environment)


def end(process):
    """(status, stdout, lines of stderr) of a process that ends by itself."""
    out, err = process.communicate(timeout=60 * MINUTES)
    print(f"{out[-300:]}{err[-600:]}-> {process.returncode}")
    return process.returncode, out, err.splitlines()


def killed_when(happened, *arguments, **environment):
    """kill -9 as soon as `happened()`; whether the process was still at work."""
    process = start(*arguments, **environment)
    with process:
        until = time.monotonic() + 60 * MINUTES
        while not happened() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    print(f"-> {process.returncode}")
    return process.returncode == -signal.SIGKILL


def folders(cache):
    return sorted(p.name for p in (cache / "hqdm").iterdir() if p.is_dir())


def test_a_build(tmp_path):
    """Killed in the compilation, then made by two at once; then its library is cut."""
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    root = tmp_path / "hqdm"
    assert killed_when(lambda: list(root.glob("runtime-*/*.o")), *LAYER, **environment)
    assert any(len(name.rsplit(".", 1)[-1]) == 8 for name in folders(tmp_path))
    answers = []
    for process in [start(*LAYER, **environment) for _ in range(2)]:
        status, out, err = end(process)
        assert (status, err) == (0, [])
        answers.append({k: v for k, v in json.loads(out).items() if k != "cycles_per_second"})
    assert answers[0] == answers[1] and answers[0]["mismatches"] == 0
    entries = folders(tmp_path)
    assert [name.split("-")[0] for name in entries] == ["runtime", "support", "verilog"]
    assert all(holds(root / name) for name in entries)
    library, = root.glob("runtime-*/device.so")
    os.truncate(library, library.stat().st_size // 2)
    status, out, err = end(start(*LAYER, **environment))
    assert (status, err) == (0, []) and json.loads(out)["cycles"] == answers[0]["cycles"]
    assert folders(tmp_path) == entries and all(holds(root / name) for name in entries)


@pytest.fixture
def sampling(tiny_folder):
    return ["sample", "--model", tiny_folder, "--steps", "2", "--config", "n4", "-n", "2", "--json"]


def test_a_sample(tmp_path, sampling):
    golden, picture = tmp_path / "golden.png", tmp_path / "folder" / "x.png"
    assert end(start(*sampling, "--backend", "golden", "-o", golden))[0] == 0
    command = [*sampling, "--backend", "rtl", "--devices", "1", "-o", picture]
    for bytes_ in (1, 2_000, 20_000):       # of the state: begun, and after some steps
        assert killed_when(lambda size=bytes_: size_of(picture) > size, *command)
        assert not picture.exists()
    for process in [start(*command) for _ in range(2)]:
        status, out, _ = end(process)
        assert status == 0 and json.loads(out)["mismatches"] == 0
    assert picture.read_bytes() == golden.read_bytes()
    assert list(picture.parent.iterdir()) == [picture]


def size_of(picture):
    state = picture.with_name(f"{picture.name}.state")
    return state.stat().st_size if state.exists() else 0


def test_a_quantisation(tmp_path):
    """The seconds that it took are in the file; all else is the same."""
    teacher = tmp_path / "unet.safetensors"
    write_unet(teacher, tiny_models()[0])
    whole, out = tmp_path / "whole" / "x.safetensors", tmp_path / "killed" / "x.safetensors"
    command = [*QUANTIZE, "--teacher", teacher, "--out"]
    assert end(start(*command, whole))[0] == 0
    for pattern in ("*.lock", "trajectories-*.safetensors"):
        assert killed_when(lambda pattern=pattern: list(out.parent.glob(pattern)), *command, out)
        assert not out.exists()
    for process in [start(*command, out) for _ in range(2)]:
        assert end(process)[0] == 0
    wanted, got = (load_checkpoint(path, KIND) for path in (whole, out))
    assert wanted.architecture == got.architecture
    assert wanted.tensors.keys() == got.tensors.keys()
    assert all(torch.equal(t, got.tensors[name]) for name, t in wanted.tensors.items())
    names = [sorted(p.name for p in path.parent.iterdir()) for path in (whole, out)]
    assert names[0] == names[1] and not [name for name in names[0] if name.startswith(".")]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of so many kilobytes."""
    place, mounted = tmp_path / "disk", []

    def mount(kilobytes):
        place.mkdir(exist_ok=True)
        ran = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", place],
                             capture_output=True, check=False) if os.getuid() == 0 else None
        if ran is None or ran.returncode:
            pytest.skip("wanted root, which may mount a small disk")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", place], check=True)


def test_a_full_disk(tmp_path, small_disk, sampling):
    disk, elsewhere = small_disk(400), tmp_path / "x.v"
    full = "could not be written: No space left on device"
    for command, name in (
            (["verilog", "--config", "n4", "-o"], "x.v"),
            ([*sampling, "--backend", "rtl", "-o"], "x.png"),
            (["cycles", "--trace"], "x.json")):
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError):
            while file.write(b"x" * 4096):
                pass
        status, out, err = end(start(*command, disk / name))
        assert status == 2 and not out and [line for line in err if "error" in line] == err[-1:]
        assert f"{disk / name}" in err[-1] and full in err[-1]
        assert [p.name for p in disk.iterdir()] == ["filler"]
        filler.unlink()
    cache = {"XDG_CACHE_HOME": str(disk)}
    assert end(start("verilog", "--config", "n4", "-o", elsewhere, **cache))[0] == 0
    assert end(start("verilog", "--config", "n4", "-o", tmp_path / "y.v"))[0] == 0
    assert elsewhere.read_bytes() == (tmp_path / "y.v").read_bytes()
    assert not [name for name in folders(disk) if "." in name]


@pytest.mark.parametrize("kilobytes", [400, 3000, 6000])
def test_a_build_on_a_full_disk(small_disk, kilobytes):
    """Too small for the Verilog, for what Verilator writes, for what g++ does."""
    disk = small_disk(kilobytes)
    status, out, err = end(start(*LAYER, XDG_CACHE_HOME=str(disk)))
    assert (status, out, len(err)) == (2, "", 1)
    assert "No space left on device" in err[0] and "XDG_CACHE_HOME" in err[0]
    assert not [name for name in folders(disk) if not name.startswith(("verilog-", "support-"))]
    assert str(cache_root()) not in err[0]
