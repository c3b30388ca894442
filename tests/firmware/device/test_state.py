"""State and progress of a sampling run."""

from dataclasses import replace

import pytest
import torch

from hqdm.firmware.device.progress import SampleProgress
from hqdm.firmware.device.state import SamplingState, StepRecord
from hqdm.spec.stalls import Spent, Stalls

SPENT = Spent(cycles=10, busy=7, stalls=Stalls(load=2, setup=1))
ARGUMENTS = {"model": "abc", "seed": 7, "classes": [1, 2]}
RECORD = StepRecord(image=0, step=0, calls=2, layers=(SPENT, Spent()), layers_compared=4,
                    mismatches=0, first="", device_seconds=1.5, host_seconds=0.5,
                    golden_seconds=0.25)


def tensors(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, 2, 2, generator=generator), torch.randn(2, 4, 2, 2, generator=generator)


def test_steps_come_back(tmp_path):
    path = tmp_path / "x.png.state"
    state = SamplingState(path, ARGUMENTS)
    assert path.is_file()
    records = [replace(RECORD, step=step) for step in range(3)]
    for step, record in enumerate(records):
        state.add(record, *tensors(step))
    again = SamplingState(path, ARGUMENTS)
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
    SamplingState(tmp_path / "x.state", ARGUMENTS)
    with pytest.raises(ValueError, match=text):
        SamplingState(tmp_path / "x.state", arguments)


def test_other_latents(tmp_path):
    state = SamplingState(tmp_path / "x.state", ARGUMENTS)
    state.add(RECORD, *tensors(0))
    with pytest.raises(ValueError, match="wanted the latents of image 0, step 0, got others"):
        state.find(0, 0, tensors(1)[0])


def test_a_damaged_state(tmp_path):
    path = tmp_path / "x.state"
    state = SamplingState(path, ARGUMENTS)
    state.add(RECORD, *tensors(0))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match="got a truncated or damaged one"):
        SamplingState(path, ARGUMENTS)


def test_a_full_disk(tmp_path, monkeypatch):
    path = tmp_path / "x.state"
    state = SamplingState(path, ARGUMENTS)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"x\.state: could not be written: No space left on device"):
        state.add(RECORD, *tensors(0))
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


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
