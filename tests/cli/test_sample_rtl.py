"""`hqdm sample --backend rtl`: golden's bytes, resumed after Ctrl-C, faults in one line."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import torch

import hqdm.sim.compare_layer
from hqdm.cli.main import main
from hqdm.firmware.compile.network import compile_network
from hqdm.firmware.device.driver import Driver
from hqdm.firmware.device.state import SamplingState
from hqdm.golden.carrier import Carrier
from hqdm.golden.network.network_file import load_network
from hqdm.spec import PRESETS
from hqdm.spec.registers import COUNTERS

STEPS = 2
KEYS = {"model", "config", "backend", "steps", "images", "seconds", "cycles_per_step",
        "layers_compared", "mismatches", "output"}


@pytest.fixture
def folder(tiny_folder):
    return tiny_folder


@pytest.fixture
def functional(monkeypatch):
    """The functional device where the command asks for the Verilated one."""
    make = hqdm.sim.compare_layer.make_transport
    monkeypatch.setattr(hqdm.sim.compare_layer, "make_transport",
                        lambda backend, *rest, **more: make("golden", *rest, **more))


@pytest.fixture
def run(capsys, folder, tmp_path):
    """Run `hqdm sample` into a file; (status, JSON or None, lines of stderr, file)."""
    def sample(name, *options):
        path = tmp_path / name
        status = main(["sample", "--model", str(folder), "--steps", str(STEPS), "--config", "n4",
                       "-o", str(path), "--json", *map(str, options)])
        captured = capsys.readouterr()
        result = json.loads(captured.out) if captured.out else None
        return status, result, captured.err.splitlines(), path
    return sample


def check_report(page, result):
    """The page holds what the core counted, beside the estimate, for every layer."""
    calls = STEPS * 2 * 2       # images, halves
    rows = {row[0]: row[1:] for row in cells(page.read_text(), "Measured beside estimated")}
    assert list(rows) == ["cycles", "array busy", *(f"waits: {c}" for c in result["stalls"])]
    measured = [float(row[0].replace(",", "")) * calls for row in rows.values()]
    assert measured == pytest.approx([result["cycles"], result["busy"],
                                      *result["stalls"].values()], abs=0.05 * calls)
    assert rows["cycles"][:3] == [*rows["cycles"][:2], difference(*rows["cycles"][:2])]
    layers = cells(page.read_text(), "Every layer, measured beside estimated")
    assert len(layers) == 64 + 1 and layers[0][0] == "conv_in" and layers[-1][0] == "one step"
    assert layers[-1][1:4] == rows["cycles"][:3]
    for row in layers:
        assert len(row) == 1 + 3 * len(rows) + 1
        assert [row[i + 2] for i in range(1, 22, 3)] == [
            difference(*row[i:i + 2]) for i in range(1, 22, 3)]
    text = page.read_text()
    assert f"the simulated core (n4, --backend rtl), mean of {calls} calls" in text
    assert "<svg" in text and "of 64 layers take the estimated cycles exactly" in text


def cells(page, heading):
    """Rows of the table under `heading`, as texts."""
    table = page.split(f"<h2>{heading}</h2>")[1].split("<tbody>")[1].split("</tbody>")[0]
    return [re.findall(r"<td>(.*?)</td>", row) for row in table.split("\n")]


def difference(measured, estimated):
    """Of two texts, as text."""
    off = float(measured.replace(",", "")) - float(estimated.replace(",", ""))
    text = f"{off:,.0f}" if off == int(off) else f"{off:,.1f}"
    return f"+{text}" if off > 0 else text


def test_the_rtl_writes_the_bytes_of_golden(run, folder, monkeypatch):
    monkeypatch.setattr("hqdm.kit.progress.LINE_SECONDS", float("inf"))
    common = ("-n", 2, "--seed", 7)
    status, golden, _, wanted = run("golden.png", "--backend", "golden", *common)
    assert status == 0 and set(golden) >= KEYS
    assert golden["cycles_per_step"] == [] and golden["mismatches"] == 0
    status, result, err, path = run("rtl.png", "--backend", "rtl", *common, "--report",
                                    folder / "report.html")
    assert status == 0 and not err
    check_report(folder / "report.html", result)
    assert path.read_bytes() == wanted.read_bytes()
    assert set(result) >= KEYS and set(golden) - set(result) == set()
    assert (result["model"], result["config"], result["backend"]) == (folder.name, "n4", "rtl")
    assert (result["steps"], result["images"], result["mismatches"]) == (STEPS, 2, 0)
    assert result["layers_compared"] == 64 * 2 * STEPS * 2      # nodes, halves, steps, images
    assert len(result["cycles_per_step"]) == STEPS
    assert sum(result["cycles_per_step"]) * 2 == result["cycles"]
    assert result["busy"] + sum(result["stalls"].values()) == result["cycles"]
    assert result["array_use"] == pytest.approx(result["macs"] / 16 / result["cycles"])
    assert result["cycles_per_second"] > 0
    assert sorted(p.name for p in path.parent.iterdir()) == ["golden.png", "rtl.png"]


@pytest.mark.parametrize(("mode", "compared"), [("none", 0), ("outputs", 2), ("layers", 128)])
def test_modes(run, functional, mode, compared):
    status, result, _, _ = run("x.png", "--backend", "rtl", "-n", 1, "--guidance", 1, "--compare",
                               mode)
    assert status == 0 and (result["layers_compared"], result["mismatches"]) == (compared, 0)


def test_the_last_line_says_it(capsys, functional, folder, tmp_path):
    assert main(["sample", "--model", str(folder), "--steps", "2", "--config", "n4", "--backend",
                 "rtl", "-n", "1", "-o", str(tmp_path / "x.png")]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "mismatches 0 in 256 layers of all steps; cycles per step 0"


@pytest.mark.parametrize("backend", ["golden", "rtl"])
def test_a_checkpoint_is_read_and_verified_once(run, functional, reads, monkeypatch, backend):
    """The network and the decoder, each once; the state is not a checkpoint of the model."""
    monkeypatch.setattr("hqdm.firmware.device.state.save_checkpoint", lambda *a: None)
    status, _, _, _ = run("x.png", "--backend", backend, "-n", 1, "--guidance", 1)
    assert status == 0
    assert reads == {"w4a4.integers.safetensors": 1, "decoder.safetensors": 1, "checksums": 2}


def test_images_do_not_depend_on_the_batch(folder):
    """Guided sampling of three images at once and one by one: equal bits."""
    from hqdm.learn.diffusion.sampler import initial_noise
    from hqdm.learn.evaluation.subjects import load_subject
    subject = load_subject(folder / "w4a4.integers.safetensors")
    start, labels = initial_noise(3, subject.shape, 5), torch.tensor([4, 0, 9])
    whole = subject.sample(start, labels, STEPS, 2.5)
    parts = [subject.sample(start[i:i + 1], labels[i:i + 1], STEPS, 2.5) for i in range(3)]
    assert torch.equal(whole, torch.cat(parts))


def interrupt_at(monkeypatch, count):
    """Ctrl-C at the `count`-th call of the network; returns the calls made."""
    from hqdm.firmware.device.comparison import Comparison
    right, calls = Comparison.call, []

    def call(self, *arguments):
        calls.append(arguments)
        if len(calls) == count:
            raise KeyboardInterrupt
        return right(self, *arguments)

    monkeypatch.setattr(Comparison, "call", call)
    return calls


def test_interrupt_and_resume(run, functional, monkeypatch):
    common = ("--backend", "rtl", "-n", 2, "--seed", 3)
    _, whole, _, wanted = run("whole.png", *common)
    with monkeypatch.context() as patch:
        calls = interrupt_at(patch, 6)
        status, result, err, path = run("x.png", *common)
    assert status == 130 and result is None and not path.exists() and len(calls) == 6
    assert err == ["interrupted at image 2/2, step 1/2; the same command goes on from there"]
    status, _, err, _ = run("x.png", *common[:-1], 4)
    assert status == 2 and len(err) == 1
    assert "the state of another run: wanted seed 4, got 3; repeat that command" in err[0]
    calls = interrupt_at(monkeypatch, 0)
    status, result, _, _ = run("x.png", *common)
    assert status == 0 and len(calls) == 4      # the second image's two steps
    assert path.read_bytes() == wanted.read_bytes()
    same = ("cycles_per_step", "layers_compared", "mismatches", "stalls", "macs")
    assert [result[k] for k in same] == [whole[k] for k in same]
    assert sorted(p.name for p in path.parent.iterdir()) == ["whole.png", "x.png"]


def test_a_state_that_the_core_never_computed(run, functional, monkeypatch):
    """Zeros for noise, with a state's own checksums, are not "mismatches 0"."""
    common = ("--backend", "rtl", "-n", 1, "--seed", 3)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        add = SamplingState.add
        patch.setattr(SamplingState, "add", lambda self, record, latents, noise: add(
            self, record, latents, torch.zeros_like(noise)))
        assert run("x.png", *common)[0] == 130
    status, result, err, path = run("x.png", *common)
    assert status == 2 and result is None and not path.exists() and len(err) == 1
    assert "wanted the noise that golden computes for image 0, step 0, which did not" in err[0]


def test_resumed_steps_are_counted_apart(run, functional, monkeypatch, folder, capsys):
    common = ("--backend", "rtl", "-n", 1, "--guidance", 1, "--compare", "outputs")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2)
        _, _, _, path = run("x.png", *common)
    assert main(["sample", "--model", str(folder), "--steps", str(STEPS), "--config", "n4", "-o",
                 str(path), *map(str, common)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        "mismatches 0 in 2 layers of all steps; cycles per step 0; 1 steps of an earlier run, "
        "whose noise golden confirms")


def test_a_resumed_run_reports_the_whole(run, functional, monkeypatch, tmp_path):
    """Counters that tell layers and steps apart: the page is that of a run in one piece."""
    right = Driver.execute

    def execute(self, address, timestep, timeout):
        right(self, address, timestep, timeout)
        return {name: address % 997 + 1000 * timestep + i for i, (name, _) in enumerate(COUNTERS)}

    monkeypatch.setattr(Driver, "execute", execute)
    common = ("--backend", "rtl", "-n", 1, "--guidance", 1, "--compare", "none")
    assert run("whole.png", *common, "--report", tmp_path / "whole.html")[0] == 0
    with monkeypatch.context() as patch:
        interrupt_at(patch, 2)
        assert run("x.png", *common)[0] == 130
    status, result, _, _ = run("x.png", *common, "--report", tmp_path / "x.html")
    assert status == 0
    assert (tmp_path / "x.html").read_bytes() == (tmp_path / "whole.html").read_bytes()
    assert f"({STEPS} steps, 1 call each)" in (tmp_path / "x.html").read_text()
    mean = cells((tmp_path / "x.html").read_text(), "Measured beside estimated")[0][1]
    assert float(mean.replace(",", "")) == pytest.approx(result["cycles"] / 2, abs=0.05)


@pytest.mark.parametrize(("options", "text"), [
    (("--backend", "golden", "--report", "r.html"),
     "--report: wanted --backend rtl or uio, which count cycles, got golden"),
    (("--backend", "rtl", "--report", "r.pdf"),
     "--report: wanted a file ending in .html, .png, .svg, got r.pdf"),
    (("--backend", "rtl", "--report", "no/such/r.html"),
     "--report: wanted another file than the picture, in a folder that is there, got no/such/"),
])
def test_reports_that_are_refused(run, options, text):
    status, result, err, path = run("x.png", "-n", 1, *options)
    assert status == 2 and result is None and len(err) == 1 and text in err[0]
    assert not list(path.parent.iterdir())


def test_a_mismatch_is_reported(run, functional, monkeypatch):
    from hqdm.firmware.device.runner import DeviceNetwork
    make = DeviceNetwork.__init__

    def corrupted(self, program, transport, watchdog=None):
        make(self, program, transport, watchdog)
        at = program.nodes[3].layers[0].at.weights
        byte = transport.read_memory(at, 1)[0]
        transport.write_memory(at, bytes([byte ^ 0x30]))

    monkeypatch.setattr(DeviceNetwork, "__init__", corrupted)
    status, result, err, path = run("x.png", "--backend", "rtl", "-n", 1)
    assert status == 2 and result["mismatches"] > 0 and path.exists()
    assert len(err) == 1 and err[0].startswith(
        "error: golden and the core differ: down_blocks.0.downsamplers.0.conv: step 0, class 10: ")
    assert "bytes of the weights changed" in err[0]
    from hqdm.sim.replay import replay_file
    replayed = replay_file(path.with_name("x.png.mismatch"), "golden")
    assert replayed["mismatches"] == replayed["recorded"] > 0


@pytest.mark.parametrize(("options", "text"), [
    (("--config", "n5"), "configuration: wanted one of n4, n8, n16"),
    (("--compare", "all"), "compare: wanted one of none, outputs, layers, got 'all'"),
    (("--memory-latency", 0), "--memory-latency: wanted at least 1, got 0"),
    (("--steps", 7), "w4a4.integers: quantised for 2 steps, got --steps 7"),
])
def test_bad_options(run, options, text):
    status, result, err, path = run("x.png", "--backend", "rtl", "-n", 1, *options)
    assert status == 2 and result is None and len(err) == 1 and text in err[0]
    assert not list(path.parent.iterdir())


def test_a_model_that_does_not_fit(run, monkeypatch):
    from dataclasses import replace

    from hqdm.spec import PRESETS
    monkeypatch.setitem(PRESETS, "n4", replace(PRESETS["n4"], buffer_words=64))
    status, result, err, path = run("x.png", "--backend", "rtl", "-n", 1)
    assert status == 2 and result is None and len(err) == 1
    assert "conv_in: does not fit n4: the smallest tile needs" in err[0]
    assert "it fits n8, n16" in err[0] and not list(path.parent.iterdir())


def test_a_failing_build(run, monkeypatch):
    def failing(config, cache=None):
        raise RuntimeError("compilation of hqdm_core failed:\nVcore.cpp:1: error: expected ;")

    monkeypatch.setattr("hqdm.sim.runtime.device.build", failing)
    status, result, err, path = run("x.png", "--backend", "rtl", "-n", 1)
    assert status == 2 and result is None and len(err) == 1
    assert "compilation of hqdm_core failed: Vcore.cpp:1: error: expected ;" in err[0]
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("backend", ["golden", "rtl"])
def test_a_full_disk(run, functional, monkeypatch, backend):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    status, result, err, path = run("x.png", "--backend", backend, "-n", 1, "--guidance", 1)
    assert status == 2 and result is None and len(err) == 1
    assert "could not be written: No space left on device" in err[0]
    assert not list(path.parent.iterdir())


def test_latents_are_encoded_alike(folder):
    """One image without its batch dimension: the same integers."""
    from hqdm.golden.network.network_file import load_network
    network, _ = load_network(folder / "w4a4.integers.safetensors")
    x = torch.randn(3, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    whole = network.encode(x, 1)
    for i, row in enumerate(x):
        one = network.encode(row, 1)
        assert isinstance(one, Carrier) and torch.equal(one.values, whole.values[i])


def test_make_sample_without_a_model(tmp_path):
    """One line, before anything is installed or built."""
    root = Path(__file__).resolve().parents[2]
    ran = subprocess.run(["make", "-C", str(root), "--no-print-directory", "sample",
                          f"MODEL={tmp_path}"], capture_output=True, text=True, check=False)
    assert ran.returncode == 2 and not ran.stdout
    lines = [line for line in ran.stderr.splitlines() if not line.startswith("make")]
    wanted = f"sample: wanted the model in {tmp_path}, found none; docs/recipe.md makes one"
    assert lines == [wanted]


def test_cycles_of_the_file_are_those_of_the_plan(folder, capsys):
    """`hqdm cycles` reads the layers of an integer network in their own formats."""
    path = folder / "w4a4.integers.safetensors"
    assert main(["cycles", "--model", str(path), "--config", "n4", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    program = compile_network(load_network(path)[0], PRESETS["n4"])
    assert answer["cycles"] == program.cycles and answer["macs"] == program.macs
    assert (answer["model"], answer["folded"]) == ("w4a4.integers", [])
    assert main(["cycles", "--model", str(path), "--order", "3"]) == 2
    assert "wanted no bits or rotation beside an integer network" in capsys.readouterr().err
    assert main(["cycles", "--model", str(path), "--size", "8", "8"]) == 2
    assert "has its own, got (8, 8)" in capsys.readouterr().err


def test_two_devices_give_what_one_gives(run, functional, folder):
    """Both halves of the guidance side by side: the same picture and counts."""
    answers = []
    products = load_network(folder / "w4a4.integers.safetensors")[0].network.macs
    for devices in ("1", "2"):
        status, answer, _, out = run(f"{devices}.png", "--backend", "rtl", "-n", 2, "--devices",
                                     devices)
        assert status == 0 and answer["mismatches"] == 0
        assert answer["macs"] == products * 2 * STEPS * 2       # halves, steps, images
        answers.append((answer["layers_compared"], answer["macs"], out.read_bytes()))
    assert answers[0] == answers[1]
