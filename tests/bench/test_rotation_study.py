"""The study of rotations: signs, variants, table and picture."""

import json

import pytest
import torch
from PIL import Image

from bench.rotation_study import main, noise_ratios, signs
from hqdm.learn.diffusion.files import save_unet
from hqdm.learn.diffusion.presets import unet_preset
from hqdm.learn.diffusion.unet import make_unet
from hqdm.learn.qat.rotation import hadamard


@pytest.mark.parametrize("order", range(7))
def test_signs_have_a_flat_spectrum(order):
    s = signs(order)
    assert set(s.tolist()) <= {-1.0, 1.0}
    assert float((s @ hadamard(order)).abs().max()) == 2 ** -(-order // 2)


def test_a_zero_point_helps_one_sided_values():
    r = torch.rand(4096, generator=torch.Generator().manual_seed(1))
    symmetric, wide = noise_ratios(r, 4)
    assert wide < symmetric / 3


def test_table_and_picture(tmp_path, capsys):
    teacher, out = tmp_path / "unet.safetensors", tmp_path / "study.png"
    save_unet(teacher, unet_preset("tiny"), make_unet(unet_preset("tiny"), 1).state_dict(), {})
    assert main(["--teacher", str(teacher), "-o", str(out), "--images", "2", "--steps", "1"]) == 0
    assert "channel k=5, signed, zero point" in capsys.readouterr().out
    tables = json.loads(out.with_suffix(".json").read_text())
    assert set(tables) == {"3", "4"} and "width" in tables["4"]["convolutions after SiLU"]
    with Image.open(out) as picture:
        assert picture.size == (1210, 825)
    assert main(["--teacher", str(tmp_path / "none"), "-o", str(out)]) == 2
    assert "no such checkpoint" in capsys.readouterr().err
