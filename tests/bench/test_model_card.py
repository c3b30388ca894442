"""The model card: every number from a file or a result, pending otherwise."""

import json

import pytest

from bench.model_card import PENDING, main
from hqdm.learn.diffusion.autoencoder import make_autoencoder
from hqdm.learn.diffusion.files import save_autoencoder, save_unet
from hqdm.learn.diffusion.presets import autoencoder_preset, unet_preset
from hqdm.learn.diffusion.unet import make_unet

ROW = {"n": 2000, "n_real": 10000, "fd": 12.345, "kid": 0.0123, "kid_std": 0.001, "is": 7.5,
       "is_std": 0.1, "precision": 0.5, "recall": 0.25}
EVALUATION = {"extractor": "means", "floor": ROW | {"fd": 3.21}, "seed": 1, "steps": 20,
              "guidance": 2.0, "reference": "unet", "models": {
                  "unet": ROW, "w4a4": ROW | {"psnr": 20.0, "cosine": 0.99, "cosine_worst": 0.9}}}
NOTE = {"output": "x/w4a4.integers.safetensors", "n": 8, "cosine": {
    "integers_mean": 0.99991, "integers_worst": 0.9987, "nudged_mean": 0.9993,
    "nudged_worst": 0.998}}


@pytest.fixture
def folder(tmp_path):
    unet, autoencoder = unet_preset("tiny"), autoencoder_preset("tiny")
    training = {"step": 1234, "batch": 32, "learning_rate": 1e-3, "seed": 5, "seconds": 600.0,
                "hardware": "an abacus"}
    save_unet(tmp_path / "card" / "unet.safetensors", unet, make_unet(unet).state_dict(), training)
    save_autoencoder(tmp_path / "card" / "decoder.safetensors", autoencoder,
                     make_autoencoder(autoencoder).state_dict(), 1.0, {}, decoder_only=True)
    return tmp_path / "card"


def write(path, content):
    path.write_text(json.dumps(content))
    return str(path)


def test_card(folder, tmp_path, capsys):
    quality = {"markdown": "| the table |\n", "hardware": "an abacus"}
    assert main(["--folder", str(folder), "--evaluation", write(tmp_path / "e", EVALUATION),
                 "--quality", write(tmp_path / "q", quality),
                 "--notes", write(tmp_path / "n", NOTE)]) == 0
    text = (folder / "README.md").read_text()
    assert text.startswith("# card\n")
    assert "| `unet.safetensors` | tiny | 1,234 | 32 | 0.001 | 5 | 10 | an abacus |" in text
    assert "| test images (floor) | 2,000 | 3.21 |" in text and "| the table |" in text
    assert "| `w4a4.integers.safetensors` | 8 | 0.99991 | 0.99870 | 0.99930 | 0.99800 |" in text
    assert f"| `decoder.safetensors` | tiny | {PENDING} |" in text


def test_pending(folder):
    assert main(["--folder", str(folder)]) == 0
    text = (folder / "README.md").read_text()
    for section in ("Quantisation", "Images", "Methods compared"):
        assert f"## {section}\n\n{PENDING}\n" in text


def test_bad_input(folder, tmp_path, capsys):
    assert main(["--folder", str(tmp_path)]) == 2
    assert "wanted *.safetensors, found none" in capsys.readouterr().err
    (tmp_path / "x").write_text("{")
    assert main(["--folder", str(folder), "--quality", str(tmp_path / "x")]) == 2
    assert "wanted JSON, got" in capsys.readouterr().err
    (folder / "unet.safetensors").write_bytes(b"short")
    assert main(["--folder", str(folder)]) == 2
    assert "truncated or damaged" in capsys.readouterr().err
