"""`hqdm train`: both trainings end to end on a tiny preset, and bad input in one line."""

import json

import pytest

from tests.commands import command
from tests.tiny_models import write_images

run = command("train")


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_images(*(tmp_path / "data" / name for name in ("cat", "ship")), count=4)
    return tmp_path / "data"


def test_both(capsys, data, tmp_path):
    common = ["--data", data, "--preset", "tiny", "--steps", 2, "--batch", 4, "--device", "cpu",
              "--json"]
    status, out, _ = run(capsys, "autoencoder", *common)
    assert status == 0
    result = json.loads(out)
    folder = tmp_path / "cache" / "hqdm" / "train" / "tiny"
    assert result["step"] == 2
    assert result["model"] == str(folder / "autoencoder" / "autoencoder.safetensors")
    status, out, _ = run(capsys, "unet", *common)
    assert status == 0 and json.loads(out)["images"] == 8
    assert (folder / "unet" / "unet.safetensors").is_file()


def test_bad_input(capsys, data, tmp_path):
    (tmp_path / "empty").mkdir()
    for arguments, message in [
            (["--data", tmp_path / "empty", "--steps", 1], "no train images found"),
            (["--data", tmp_path / "none", "--steps", 1], "no such data folder"),
            (["--data", data], "wanted one of steps and minutes"),
            (["--data", data, "--steps", 1, "--preset", "x"], "autoencoder preset: wanted"),
            (["--data", data, "--steps", 1, "--batch", 0], "batch: wanted at least 1, got 0"),
            (["--data", data, "--steps", 1, "--device", "x"], "device: wanted auto or one of")]:
        status, out, err = run(capsys, "autoencoder", *arguments)
        assert status == 2 and not out
        assert len(err) == 1 and err[0].startswith("error: ") and message in err[0]
    status, _, err = run(capsys, "unet", "--data", data, "--steps", 1)
    assert status == 2 and len(err) == 1 and "no such checkpoint" in err[0]


@pytest.mark.parametrize("kind", ["autoencoder", "unet"])
@pytest.mark.parametrize(("device", "options", "batch", "rate"), [
    ("cpu", (), 128, 3e-4), ("cuda", (), 1024, 3e-4 * 8 ** 0.5),
    ("cpu", ("--batch", 32), 32, 1.5e-4), ("cpu", ("--batch", 512), 512, 6e-4),
    ("cuda", ("--batch", 512, "--learning-rate", 1e-3), 512, 1e-3)])
def test_defaults_of_batch_and_rate(
        capsys, monkeypatch, tmp_path, kind, device, options, batch, rate):
    """The rate grows with the root of the batch."""
    asked = []

    class Stopped:
        def __init__(self, task, options):
            asked.append(options)

        def run(self):
            return {}

    monkeypatch.setattr("hqdm.learn.train.loop.Trainer", Stopped)
    monkeypatch.setattr("hqdm.learn.train.options.choose_device", lambda name: device)
    monkeypatch.setattr("hqdm.learn.data.cifar10.load_cifar10", lambda *_: None)
    monkeypatch.setattr("hqdm.learn.diffusion.files.load_autoencoder", lambda *_: None)
    monkeypatch.setattr("hqdm.learn.train.latents.encode_all", lambda *_: (None, None))
    for task in ("autoencoder.AutoencoderTask", "unet.UNetTask"):
        monkeypatch.setattr(f"hqdm.learn.train.{task}", lambda *_: None)
    status, _, _ = run(capsys, kind, "--data", tmp_path, "--preset", "tiny", "--steps", 1, *options)
    assert status == 0 and len(asked) == 1
    assert asked[0].device == device and asked[0].batch == batch
    assert asked[0].learning_rate == pytest.approx(rate)
