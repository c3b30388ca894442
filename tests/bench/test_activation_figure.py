"""The figure of activation maxima: numbers, picture, bad input."""

import json

import pytest
import torch
from PIL import Image

from bench.activation_figure import channel_maxima, main, spread_over
from hqdm.learn.diffusion.files import save_unet
from hqdm.learn.diffusion.presets import unet_preset
from hqdm.learn.diffusion.unet import make_unet


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    path = tmp_path_factory.mktemp("figure") / "unet.safetensors"
    save_unet(path, unet_preset("tiny"), make_unet(unet_preset("tiny"), 1).state_dict(), {})
    return path


def test_maxima():
    x = torch.zeros(2, 8, 4, 4)
    x[1, 3, 2, 1] = -8
    found = channel_maxima(x, 5, linear=False)
    assert found["none"].tolist() == [0, 0, 0, 8, 0, 0, 0, 0]
    torch.testing.assert_close(found["channel"], torch.full((8,), 8 / 8 ** 0.5))
    assert found["width"].tolist() == [0, 0, 0, 4, 0, 0, 0, 0]      # 4 columns: order 2
    assert list(channel_maxima(x.flatten(2).mT, 5, linear=True)) == ["none", "channel"]


def test_spread():
    assert spread_over([9, 7, 5, 3, 1]) == [9, 5, 1]
    assert spread_over([9]) == [9]


def test_figure(teacher, tmp_path, capsys):
    out = tmp_path / "figure.png"
    assert main(["--teacher", str(teacher), "-o", str(out), "--images", "2", "--steps", "3"]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    with Image.open(out) as picture:
        assert picture.size == (1320, 1254)
    numbers = json.loads(out.with_suffix(".json").read_text())["largest_over_median"]
    assert len(numbers) == 6
    assert all(len(steps) == 3 and min(v for r in steps.values() for v in r.values()) >= 1
               for steps in numbers.values())


def test_bad_input(teacher, tmp_path, capsys):
    out = str(tmp_path / "x.png")
    assert main(["--teacher", str(teacher), "-o", out, "--layers", "conv_x"]) == 2
    assert "--layers: wanted some of down_blocks" in capsys.readouterr().err
    assert main(["--teacher", str(tmp_path / "none"), "-o", out]) == 2
    assert "no such checkpoint" in capsys.readouterr().err
