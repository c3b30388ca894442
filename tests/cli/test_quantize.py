"""`hqdm quantize`: a result, and one line with exit code 2 for bad input."""

import json

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DModel

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


def folder_of(path, **options):
    """A folder of diffusers with a small unconditional UNet."""
    UNet2DModel(**{
        "sample_size": (4, 6), "in_channels": 3, "out_channels": 3, "block_out_channels": (8, 8),
        "layers_per_block": 1, "norm_num_groups": 4, "down_block_types": ("DownBlock2D",) * 2,
        "up_block_types": ("UpBlock2D",) * 2, "add_attention": False} | options,
        ).save_pretrained(path)
    return path


@pytest.mark.parametrize(("model", "options", "text"), [
    ({"sample_size": None}, [], "wanted --size HEIGHT WIDTH of the latent, as config.json has no"),
    ({}, ["--size", "5", "6"], "size: wanted multiples of 2, got 5 x 6"),
    ({"in_channels": 9, "out_channels": 4}, [], "out_channels: wanted 9 as in_channels, or 18"),
    ({}, ["--guidance", "3"], "guidance: wanted 1, as the UNet has no classes, got 3"),
    ({}, ["--tokens", "none"], "none: no such file of class tokens"),
    ({}, ["--teacher", "x"], "wanted --teacher FILE or --model FOLDER, got both"),
    ({"resnet_time_scale_shift": "scale_shift", "num_class_embeds": 3}, [],
     "wanted default beside class embeddings"),
    ({"down_block_types": ("ResnetDownsampleBlock2D", "DownBlock2D")}, [],
     "wanted a residual block without resampling (only networks of shapes have it), got one"),
    ({"center_input_sample": True}, [], "wanted center_input_sample of False, got True"),
])
def test_models_that_are_refused_before_training(capsys, tmp_path, model, options, text):
    folder = folder_of(tmp_path / "unet", **model)
    status, out, err = run(capsys, "--model", folder, "--out", tmp_path / "x", *FAST, *options)
    assert status == 2 and not out and len(err) == 1 and text in err[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["unet"]


def test_timesteps_that_were_not_recorded(capsys, tmp_path):
    folder = folder_of(tmp_path / "unet")
    DDPMScheduler(num_train_timesteps=250).save_pretrained(folder)
    status, _, err = run(capsys, "--model", folder, "--out", tmp_path / "x", *FAST)
    assert status == 2 and "num_train_timesteps of 250 is no multiple of 100" in err[0]


def test_one_teacher(capsys, tmp_path, teacher):
    out = ("--out", tmp_path / "x")
    for arguments, text in (
            ((), "wanted --teacher FILE or --model FOLDER, got neither"),
            (("--teacher", tmp_path), "got the folder"),
            (("--teacher", teacher, "--size", "8", "8"), "--tokens, --size: wanted beside --model"),
            (("--model", teacher), "wanted a folder that diffusers wrote with save_pretrained")):
        status, _, err = run(capsys, *out, *arguments)
        assert status == 2 and len(err) == 1 and text in err[0]


def test_bad_teachers(capsys, teacher, tmp_path):
    out = tmp_path / "x"
    status, _, err = run(capsys, "--teacher", tmp_path / "none", "--out", out)
    assert status == 2 and len(err) == 1 and "no such checkpoint" in err[0]
    damaged = tmp_path / "damaged"
    damaged.write_bytes(teacher.read_bytes()[:-9])
    status, _, err = run(capsys, "--teacher", damaged, "--out", out)
    assert status == 2 and len(err) == 1 and "truncated or damaged" in err[0]
