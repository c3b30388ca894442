"""`hqdm sample` and `hqdm lower`: the same noise on both backends, and bad input in one line."""

import json

import pytest
import torch
from PIL import Image

from hqdm.cli.main import main
from hqdm.cli.sample import names_of, parse_classes
from hqdm.learn.data.cifar10 import CLASSES
from tests.commands import command
from tests.tiny_models import tiny_models, write_decoder, write_unet

run = command()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as models/cifar10, made by the commands themselves; 5 steps."""
    folder = tmp_path_factory.mktemp("sample")
    model, decoder = tiny_models()
    write_unet(folder / "unet.safetensors", model)
    write_decoder(folder, decoder)
    assert main(["quantize", "--teacher", str(folder / "unet.safetensors"),
                 "--out", str(folder / "w8a8.safetensors"), "--weights", "8", "--activations",
                 "8", "--iterations", "1", "--batch", "2", "--trajectories", "1", "--steps", "5",
                 "--device", "cpu"]) == 0
    assert main(["lower", "--model", str(folder / "w8a8.safetensors"), "--images", "2",
                 "--check", "1"]) == 0
    return folder


def pixels(path):
    with Image.open(path) as image:
        return torch.tensor(bytearray(image.tobytes()), dtype=torch.float64)


def test_backends_share_their_noise(capsys, folder, tmp_path):
    common = ["-n", 4, "--classes", "cat,ship", "--steps", 5, "--model", folder, "--json"]
    status, out, err = run(capsys, "sample", "-o", tmp_path / "f.png", "--backend", "float",
                           *common)
    result = json.loads(out)
    assert status == 0 and not err
    assert result["model"] == folder.name and result["backend"] == "float"
    assert (result["images"], result["steps"], result["classes"]) == (4, 5, [3, 8, 3, 8])
    status, out, _ = run(capsys, "sample", "-o", tmp_path / "g.png", "--network", "w8a8", *common)
    result = json.loads(out)
    assert status == 0 and result["backend"] == "golden"
    assert result["network"] == "w8a8.integers" and result["output"] == str(tmp_path / "g.png")
    a, b = pixels(tmp_path / "f.png"), pixels(tmp_path / "g.png")
    assert (a - b).abs().mean() < 0.2 * a.std()


def test_golden_repeats(capsys, folder, tmp_path):
    common = ["-n", 3, "--steps", 1, "--model", folder, "--network", "w8a8"]
    for name in "12":
        assert run(capsys, "sample", "-o", tmp_path / f"{name}.png", *common)[0] == 0
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()
    assert run(capsys, "sample", "-o", tmp_path / "3.png", *common, "--seed", 2)[0] == 0
    assert (tmp_path / "1.png").read_bytes() != (tmp_path / "3.png").read_bytes()


def test_classes():
    assert parse_classes(None, 12, CLASSES) == [*range(10), 0, 1]
    assert parse_classes("dog, 3", 3, CLASSES) == [5, 3, 5]
    assert names_of(10) == CLASSES and names_of(3) == ("0", "1", "2") and names_of(0) == ()
    assert parse_classes(None, 3, names_of(0)) == [0, 0, 0]
    assert parse_classes("2", 2, names_of(3)) == [2, 2]
    with pytest.raises(ValueError, match=r"--classes: wanted 0\.\.2, got 'cat'"):
        parse_classes("cat", 1, names_of(3))
    with pytest.raises(ValueError, match="--classes: wanted none, as the network has no classes"):
        parse_classes("0", 1, names_of(0))


@pytest.mark.parametrize("options, text", [
    (["--backend", "gpu"], "--backend: wanted one of float, golden, rtl, uio, got 'gpu'"),
    (["-n", 0], "-n: wanted at least 1, got 0"),
    (["--seed", -1], "--seed: wanted at least 0, got -1"),
    (["--classes", "cat,zebra"], "--classes: wanted some of airplane, "),
    (["--classes", ","], "--classes: wanted at least one class, got none"),
    (["--classes", "10"], "or 0..9, got '10'"),
    (["--network", "w2a2"], "w2a2.integers.safetensors: no such checkpoint; train one with"),
    (["--network", "w2a2"], "; --network may be w8a8"),
    (["--decoder", "none", "--steps", 5], "--decoder: wanted decoder.safetensors beside the model"),
    (["--steps", 20], "w8a8.integers: quantised for 5 steps, got --steps 20"),
])
def test_bad_options(capsys, folder, tmp_path, options, text):
    status, out, err = run(capsys, "sample", "-o", tmp_path / "x.png", "--model", folder,
                           "--network", "w8a8", *options)
    assert status == 2 and not out
    assert len(err) == 1 and text in err[0]
    assert not (tmp_path / "x.png").exists()


def test_nothing_there(capsys, folder, tmp_path):
    status, _, err = run(capsys, "sample", "-o", tmp_path / "x.png", "--model", tmp_path / "none")
    assert status == 2 and len(err) == 1
    assert "no such folder of models; train one with hqdm train autoencoder" in err[0]
    status, _, err = run(capsys, "sample", "-o", tmp_path / "x.png", "--model",
                         folder / "w8a8.integers.safetensors")
    assert status == 2 and "--model: wanted a folder, got the file" in err[0]
    (tmp_path / "unet.safetensors").write_bytes((folder / "unet.safetensors").read_bytes())
    status, _, err = run(capsys, "sample", "-o", tmp_path / "x.png", "--model", tmp_path,
                         "--backend", "float")
    assert status == 2 and len(err) == 1 and "--decoder: wanted decoder.safetensors" in err[0]


def test_lower_bad_input(capsys, folder):
    status, _, err = run(capsys, "lower", "--model", folder / "unet.safetensors")
    assert status == 2 and len(err) == 1 and "kind quantised, got unet" in err[0]
    status, _, err = run(capsys, "lower", "--model", folder / "w8a8.safetensors", "--images", 0)
    assert status == 2 and len(err) == 1 and "wanted at least 1, got 0" in err[0]
