"""`hqdm evaluate`: table, JSON and picture of tiny data, and bad input in one line."""

import json

import pytest
import torch

from hqdm.learn.diffusion.autoencoder import make_autoencoder
from hqdm.learn.diffusion.presets import autoencoder_preset, unet_preset
from hqdm.learn.diffusion.unet import make_unet
from tests.commands import command
from tests.tiny_models import Means, write_decoder, write_images, write_unet

run = command("evaluate")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Folders as `hqdm train` makes them, and images in data/."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("hqdm.learn.evaluation.extractors.make_extractor", lambda *a: Means())
    write_images(*(tmp_path / "data" / split / "cat" for split in ("train", "test")), count=8)
    for seed in (1, 2):
        model = make_unet(unet_preset("tiny"), seed)
        torch.nn.init.constant_(model.unet.conv_out.bias, seed / 10)
        write_unet(tmp_path / "unet" / f"u{seed}.safetensors", model)
    write_decoder(tmp_path / "autoencoder", make_autoencoder(autoencoder_preset("tiny")))
    return tmp_path


def test_evaluate(capsys, place):
    options = ["--models", place / "unet" / "u1.safetensors", "--models",
               place / "unet" / "u2.safetensors", "--data", place / "data", "-n", 6, "--steps", 2,
               "--real", 8, "--calls", 2, "--out", place / "out", "--device", "cpu"]
    status, out, err = run(capsys, *options, "--json")
    assert status == 0 and not err
    result = json.loads(out)
    assert result == json.loads((place / "out" / "evaluation.json").read_text())
    assert list(result["models"]) == ["u1", "u2"] and result["reference"] == "u1"
    assert (place / "out" / "grid.png").is_file()
    status, out, _ = run(capsys, *options)
    assert status == 0
    assert "test images (floor)" in out and "features of means, against 8 training images" in out


def test_bad_input(capsys, place):
    unet, data = place / "unet" / "u1.safetensors", place / "data"
    (place / "empty").mkdir()
    for arguments, text in [
            (["--models", place / "none", "--data", data], "--decoder: wanted decoder.safetensors"),
            (["--models", place / "unet" / "x", "--data", data], "no such checkpoint"),
            (["--models", unet, "--data", place / "empty"], "no train images found"),
            (["--models", unet, "--data", data, "-n", 2], "-n: wanted at least 6, got 2"),
            (["--models", unet, "--data", data, "--device", "x"], "device: wanted auto"),
            (["--data", data], "--models")]:
        status, out, err = run(capsys, *arguments, "--out", place / "out")
        assert status == 2 and not out
        assert len(err) == 1 and text in err[0], err


def test_extractors(capsys, place, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    common = ["--models", place / "unet" / "u1.safetensors", "--data", place / "data"]
    for arguments, text in [
            (["--extractor", "x"], "--extractor: wanted one of efficientnet-lite0, inception"),
            (["--extractor", "inception"], "wanted --inception-weights FILE, got none"),
            (["--extractor", "inception", "--inception-weights", place / "none"],
             "no such file of Inception weights")]:
        status, _, err = run(capsys, *common, *arguments)
        assert status == 2 and len(err) == 1 and text in err[0]
