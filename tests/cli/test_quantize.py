"""`hqdm quantize`: a result, and one line with exit code 2 for bad input."""

import json

import pytest
import torch

from hqdm.learn.diffusion.files import save_unet
from hqdm.learn.diffusion.presets import unet_preset
from hqdm.learn.diffusion.unet import make_unet
from hqdm.learn.qat.export import load_quantised
from tests.commands import command

run = command("quantize")

FAST = ["--iterations", "2", "--batch", "2", "--trajectories", "1", "--steps", "5",
        "--device", "cpu"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    preset = unet_preset("tiny")
    path = tmp_path_factory.mktemp("quantize") / "unet.safetensors"
    save_unet(path, preset, make_unet(preset, 1).state_dict(), {})
    return path


def test_quantize(capsys, teacher):
    threads = torch.get_num_threads()
    out = teacher.parent / "w3a4.safetensors"
    status, text, err = run(capsys, "--teacher", teacher, "--out", out, "--weights", "3",
                            "--axis", "channel", "--order", "3", *FAST, "--json")
    result = json.loads(text)
    assert status == 0 and result["method"] == "hqdm-channel-k3-w3a4", err
    assert result["iterations"] == result["of"] == 2
    student, tokens, read = load_quantised(out)
    assert len(student.timestep) == 5 and tokens.shape == (11, 8)
    assert read.architecture["method"]["order"] == 3
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("options, text", [
    (["--weights", "5"], "--weights: wanted one of (2, 3, 4, 8) bits, got 5"),
    (["--method", "gptq"], "double-hadamard, ptq, got 'gptq'"),
    (["--axis", "depth"], "--axis: wanted channel, width or best, got 'depth'"),
    (["--steps", "3"], "--steps: wanted a divisor of 100, got 3"),
    (["--device", "tpu"], "device: wanted auto or one of cpu"),
])
def test_bad_options(capsys, teacher, options, text):
    status, out, err = run(capsys, "--teacher", teacher, "--out", teacher.parent / "x", *options)
    assert status == 2 and not out
    assert len(err) == 1 and text in err[0]


def test_bad_teachers(capsys, teacher, tmp_path):
    out = tmp_path / "x"
    status, _, err = run(capsys, "--teacher", tmp_path / "none", "--out", out)
    assert status == 2 and len(err) == 1 and "no such checkpoint" in err[0]
    damaged = tmp_path / "damaged"
    damaged.write_bytes(teacher.read_bytes()[:-9])
    status, _, err = run(capsys, "--teacher", damaged, "--out", out)
    assert status == 2 and len(err) == 1 and "truncated or damaged" in err[0]
