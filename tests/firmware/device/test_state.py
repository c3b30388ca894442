"""State and progress of a sampling run."""

from dataclasses import replace

import pytest
import torch

from hqdm.firmware.device.progress import SampleProgress
from hqdm.firmware.device.state import Run, SamplingState, StepRecord
from hqdm.kit.tensor_file import load_checkpoint, save_checkpoint
from hqdm.spec.stalls import Spent, Stalls

SPENT = Spent(cycles=10, busy=7, stalls=Stalls(load=2, setup=1))
RUN = Run(images=2, steps=4, calls=2, nodes=2, compared=2, shape=(4, 2, 2))
ARGUMENTS = {"model": "abc", "seed": 7, "classes": [1, 2]}
RECORD = StepRecord(image=0, step=0, calls=2, layers=(SPENT, Spent()), layers_compared=4,
                    mismatches=0, first="", device_seconds=1.5, host_seconds=0.5,
                    golden_seconds=0.25)


def tensors(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, 2, 2, generator=generator), torch.randn(2, 4, 2, 2, generator=generator)


def test_steps_come_back(tmp_path):
    path = tmp_path / "x.png.state"
    state = SamplingState(path, ARGUMENTS, RUN)
    assert path.is_file()
    records = [replace(RECORD, step=step) for step in range(3)]
    for step, record in enumerate(records):
        state.add(record, *tensors(step))
    again = SamplingState(path, ARGUMENTS, RUN)
    assert again.records == records and again.records[0].spent == SPENT
    for step in range(3):
        latents, noise = tensors(step)
        assert torch.equal(again.find(0, step, latents), noise)
    assert again.find(0, 3, latents) is None and again.find(1, 0, latents) is None
    again.remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("arguments", "text"), [
    (ARGUMENTS | {"seed": 8}, r"x\.state: the state of another run: wanted seed 8, got 7"),
    (ARGUMENTS | {"config": "n8"}, "wanted config n8, got None"),
])
def test_another_run(tmp_path, arguments, text):
    SamplingState(tmp_path / "x.state", ARGUMENTS, RUN)
    with pytest.raises(ValueError, match=text):
        SamplingState(tmp_path / "x.state", arguments, RUN)


def test_other_latents(tmp_path):
    state = SamplingState(tmp_path / "x.state", ARGUMENTS, RUN)
    state.add(RECORD, *tensors(0))
    with pytest.raises(ValueError, match="wanted the latents of image 0, step 0, got others"):
        state.find(0, 0, tensors(1)[0])


def test_a_damaged_state(tmp_path):
    path = tmp_path / "x.state"
    state = SamplingState(path, ARGUMENTS, RUN)
    state.add(RECORD, *tensors(0))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match="got a truncated or damaged one"):
        SamplingState(path, ARGUMENTS, RUN)


def test_a_full_disk(tmp_path, monkeypatch):
    path = tmp_path / "x.state"
    state = SamplingState(path, ARGUMENTS, RUN)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"x\.state: could not be written: No space left on device"):
        state.add(RECORD, *tensors(0))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.fixture
def read(tmp_path):
    """A state of three steps, as a checkpoint."""
    state = SamplingState(tmp_path / "x.state", ARGUMENTS, RUN)
    for step in range(3):
        state.add(replace(RECORD, step=step), *tensors(step))
    return load_checkpoint(state.path, "sampling by layers")


def refused(tmp_path, read, text):
    save_checkpoint(tmp_path / "x.state", read)
    with pytest.raises(ValueError, match=text) as caught:
        SamplingState(tmp_path / "x.state", ARGUMENTS, RUN)
    assert str(caught.value).startswith(f"{tmp_path / 'x.state'}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "change", "text"), [
    ("noise", lambda t: t * float("nan"), "step 0: noise: wanted finite numbers, got NaN"),
    ("noise", lambda t: t * float("inf"), "step 0: noise: wanted finite numbers, got NaN"),
    ("noise", torch.zeros_like, "digests: wanted those of the steps, got others"),
    ("noise", lambda t: t.flip(0), "digests: wanted those of the steps, got others"),
    ("noise", lambda t: t[:, :1].clone(), r"step 0: noise: wanted shape \(2, 4, 2, 2\), got \(1"),
    ("noise", lambda t: t[:2].clone(), "wanted latents and noise of 3 steps, got"),
    ("noise", lambda t: t.double(), "step 0: noise: wanted an float32 tensor, got float64"),
    ("noise", lambda t: t.bool(), "step 0: noise: wanted an float32 tensor, got bool"),
    ("latents", lambda t: t + 1, "digests: wanted those of the steps, got others"),
    ("latents", lambda t: t[..., :1].clone(), "step 0: latents: wanted shape"),
    ("latents", lambda t: torch.tensor(1.0), "wanted latents and noise of 3 steps, got"),
    ("more", lambda t: torch.zeros(3), "wanted latents and noise of 3 steps, got"),
])
def test_tensors_of_no_step(tmp_path, read, name, change, text):
    before = read.tensors.get(name)
    refused(tmp_path, replace(read, tensors=read.tensors | {name: change(before)}), text)
    if before is not None:
        rest = {k: t for k, t in read.tensors.items() if k != name}
        refused(tmp_path, replace(read, tensors=rest), "wanted latents and noise of 3 steps, got")


@pytest.mark.parametrize(("change", "text"), [
    ({"mismatches": -1}, "step 1: mismatches: wanted 0.."),
    ({"mismatches": 5}, "step 1: first: wanted the first mismatch in words, got none"),
    ({"mismatches": None}, r"records\[1\].mismatches: wanted an integer, got None"),
    ({"layers_compared": 400}, "step 1: layers_compared: wanted 4, got 400"),
    ({"step": 2}, "step 1: step: wanted 1, got 2"), ({"image": 1}, "step 1: image: wanted 0"),
    ({"calls": 1}, "step 1: calls: wanted 2, got 1"),
    ({"layers": []}, "step 1: layers: wanted 2, got 0"),
    ({"layers": [{"cycles": 1.5}, {}]}, r"layers\[0\].cycles: wanted an integer, got 1.5"),
    ({"device_seconds": -1.0}, "step 1: device_seconds: wanted 0 or more, got -1.0"),
    ({"device_seconds": 9.0}, "digests: wanted those of the steps"),
    ({"layers": [{"cycles": 1}, {}]}, "digests: wanted those of the steps"),
    ({"more": 1}, r"records\[1\].'more': wanted one of image, step"),
])
def test_records_of_no_step(tmp_path, read, change, text):
    records = list(read.training["records"])
    records[1] = records[1] | change
    refused(tmp_path, replace(read, training=read.training | {"records": records}), text)


@pytest.mark.parametrize("key", ["records", "digests"])
def test_missing_keys(tmp_path, read, key):
    rest = {k: v for k, v in read.training.items() if k != key}
    refused(tmp_path, replace(read, training=rest), f"{key}: wanted .* none of that name")
    some = read.training | {key: read.training[key][:2]}
    refused(tmp_path, replace(read, training=some), "wanted (latents|those of the steps)")


def test_a_step_of_another_run(tmp_path):
    state = SamplingState(tmp_path / "x.state", ARGUMENTS, RUN)
    with pytest.raises(ValueError, match="step 0: layers: wanted 2, got 1"):
        state.add(replace(RECORD, layers=(SPENT,)), *tensors(0))
    assert not state.records


def test_progress_speaks_in_lines(monkeypatch, capsys):
    monkeypatch.setattr("hqdm.kit.progress.LINE_SECONDS", 0.0)
    with SampleProgress(images=2, steps=3, layers=4, cycles=1000) as progress:
        progress.begin(0, 0)
        progress.skip()
        progress.begin(0, 1)
        assert progress.note() == ""
        progress.begun -= 10.0      # ten seconds for half a step
        progress.node(500, 20_000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "image 1/2, step 2/3, layer 1/4: 2k cycles/s, 1.5 min left"
