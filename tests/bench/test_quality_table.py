"""The quality table: which cells, two of them end to end, resuming, bad input."""

import json

import pytest
import torch

from bench.quality_cells import table_cells
from bench.quality_report import spread
from bench.quality_table import main
from hqdm.learn.diffusion.autoencoder import make_autoencoder
from hqdm.learn.diffusion.presets import autoencoder_preset, unet_preset
from hqdm.learn.diffusion.unet import make_unet
from tests.tiny_models import Means, write_decoder, write_images, write_unet


def test_cells():
    cells = table_cells([0, 1])
    names = [c.name for c in cells]
    assert len(set(names)) == len(names) == 8 + 8 + 10 + 8 + 8 + 4
    assert names[:2] == ["hqdm-channel-k5-free-w4a4-full-s0", "efficientdm-w4a4-full-s0"]
    assert {c.seed for c in cells[:8]} == {0, 1} and {c.seed for c in cells[8:34]} == {0}
    assert {c.method.name for c in cells[8:16]} == {"hqdm", "double-hadamard", "ptq"}
    assert {c.budget for c in cells[16:34]} == {"small"}
    assert {c.budget for c in cells[:16] + cells[34:]} == {"full"}
    for wanted in ("w8a8", "w8a4", "w4a8", "w3a4", "w2a4"):
        assert {f"hqdm-{a}-k5-{wanted}-small-s0" for a in ("width", "channel")} <= set(names)
    assert {f"hqdm-width-k{k}-w4a4-small-s0" for k in (3, 4, 5, 6)} <= set(names)
    with pytest.raises(ValueError, match="--seeds: wanted at least one, got none"):
        table_cells([])


def test_spread():
    assert spread([1.234], 2) == "1.23"
    assert spread([1.0, 3.0], 1) == "2.0 (1.0 to 3.0)"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Data, teacher and decoder; an extractor that is quick."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("bench.quality_table.make_extractor", lambda *a, **k: Means())
    write_images(*(tmp_path / "data" / split / "cat" for split in ("train", "test")), count=8)
    model = make_unet(unet_preset("tiny"), 1)
    torch.nn.init.constant_(model.unet.conv_out.bias, 0.1)
    write_unet(tmp_path / "unet.safetensors", model)
    write_decoder(tmp_path, make_autoencoder(autoencoder_preset("tiny")))
    return tmp_path


def options(place, *more):
    return ["--teacher", str(place / "unet.safetensors"), "--data", str(place / "data"), "--out",
            str(place / "out"), "-n", "6", "--real", "8", "--iterations", "1", "--batch", "2",
            "--trajectories", "1", "--steps", "2", "--device", "cpu", *more]


def test_table(place, capsys):
    assert main(options(place, "--only", "ptq-w4a4")) == 0
    capsys.readouterr()
    result = json.loads((place / "out" / "quality.json").read_text())
    assert list(result["rows"]) == ["ptq-w4a4-full-s0", "ptq-w4a4-full-s1"]
    row = result["rows"]["ptq-w4a4-full-s0"]
    assert row["n"] == 6 and row["weights"] == 4 and row["iterations"] == 0
    path = place / "out" / "cells" / "ptq-w4a4-full-s0.json"
    before = path.stat().st_mtime_ns
    assert main(options(place, "--only", "efficientdm-w4a3-full-s0")) == 0
    table = capsys.readouterr().out
    assert "| efficientdm | none | free | W4A3 | full, 1 | 1 | 6 |" in table
    assert "| ptq | none | symmetric | W4A4 | none | 2 | 6 |" in table
    assert "| test images (floor) |" in table and "| float |" in table
    assert table.strip() == (place / "out" / "quality.md").read_text().strip()
    assert path.stat().st_mtime_ns == before
    assert main(options(place, "--only", "ptq-w4a4", "--guidance", "1.5")) == 2
    assert "choose another --out" in capsys.readouterr().err


def test_bad_input(place, capsys):
    for more, text in [(["--only", "gptq"], "--only: wanted a part of a cell's name, got 'gptq'"),
                       (["--device", "x"], "device: wanted auto or one of"),
                       (["--teacher", str(place / "none")], "no such checkpoint")]:
        assert main(options(place, *more)) == 2
        assert text in capsys.readouterr().err
