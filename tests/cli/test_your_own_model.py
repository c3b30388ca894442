"""docs/your-own-model.md ends in a picture, through golden and the RTL: its commands, run here."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel, UNet2DModel
from PIL import Image
from safetensors.torch import save_file

from hqdm.cli.main import main
from tests.commands import command

PAGE = Path(__file__).resolve().parents[2] / "docs" / "your-own-model.md"
STEPS = ("--steps", "2")
FAST = {"quantize": ("--iterations", "1", "--batch", "2", "--trajectories", "1", "--rank", "2",
                     "--device", "cpu", *STEPS),
        "lower": ("--images", "2", "--check", "1"), "sample": ("-n", "1", *STEPS)}
SHAPE = {"sample_size": (4, 6), "block_out_channels": (8, 16), "layers_per_block": 1,
         "norm_num_groups": 4}
run = command()


def blocks(language):
    """The texts of the page's code blocks in a language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return [text for kind, text in found if kind == language]


def commands():
    """The words of every `hqdm` command of the page."""
    return [shlex.split(line)[1:] for block in blocks("") for line in block.splitlines()
            if line.startswith("hqdm ")]


def follow(folder, tmp_path, *options):
    """Quantise and lower the model in `folder` into tmp_path/run."""
    out = tmp_path / "run" / "w4a4.safetensors"
    assert main(["quantize", "--model", str(folder), "--out", str(out), *FAST["quantize"],
                 *options]) == 0
    assert main(["lower", "--model", str(out), *FAST["lower"]]) == 0


def size(path):
    with Image.open(path) as picture:
        return picture.size


def test_the_page(capsys, tmp_path, monkeypatch):
    """Unconditional, not square, no decoder: the page as it stands, in fewer steps."""
    monkeypatch.chdir(tmp_path)
    exec(blocks("python")[0], {})
    names = [words[0] for words in commands()]
    assert names == ["quantize", "lower", "sample", "sample", "sample"]
    for words in commands():
        status, out, err = run(capsys, *words, *FAST[words[0]])
        assert status == 0, err
    assert out.splitlines()[-1].startswith("mismatches 0 in 98 layers of all steps; cycles per")
    assert (tmp_path / "rtl.png").read_bytes() == (tmp_path / "golden.png").read_bytes()
    status, out, _ = run(capsys, "cycles", "--model", "run/w4a4.integers.safetensors", "--json")
    assert status == 0 and json.loads(out)["calls_per_image"] == 20     # no guidance
    assert size("rtl.png") == size("float.png") == (2 * 12 + 4, 2 * 8 + 4)


@pytest.mark.slow
def test_embeddings_and_a_learned_variance(capsys, tmp_path):
    """Classes of the model's own, guided; a cosine schedule and v; a pipeline's folder."""
    folder = tmp_path / "pipeline"
    torch.manual_seed(1)
    UNet2DModel(in_channels=1, out_channels=2, num_class_embeds=4, attention_head_dim=8,
                down_block_types=("DownBlock2D", "AttnDownBlock2D"),
                up_block_types=("AttnUpBlock2D", "UpBlock2D"), **SHAPE,
                ).save_pretrained(folder / "unet")
    DDPMScheduler(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction",
                  timestep_spacing="trailing").save_pretrained(folder / "scheduler")
    follow(folder, tmp_path, "--guidance", "2", "--axis", "channel", "--range", "free")
    pictures(capsys, tmp_path, "2")
    status, _, err = run(capsys, "sample", "--model", tmp_path / "run", "-o", tmp_path / "x.png",
                         *FAST["sample"], "--classes", "3")
    assert status == 2 and "--classes: wanted 0..2, got '3'" in err[0]


@pytest.mark.slow
def test_tokens_and_a_decoder(capsys, tmp_path):
    """Cross-attention to class tokens; an autoencoder of diffusers beside the network."""
    folder = tmp_path / "pipeline"
    torch.manual_seed(1)
    UNet2DConditionModel(
        in_channels=4, out_channels=4, cross_attention_dim=8, attention_head_dim=2,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), **SHAPE,
        ).save_pretrained(folder / "unet")
    save_file({"tokens": torch.randn(4, 8)}, folder / "tokens.safetensors")
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8), norm_num_groups=4, latent_channels=4,
        ).save_pretrained(tmp_path / "run" / "vae")
    follow(folder, tmp_path)
    assert pictures(capsys, tmp_path, "2") == (2 * 12 + 4, 2 * 8 + 4)
    status, _, err = run(capsys, "sample", "--model", tmp_path / "run", "-o", tmp_path / "x.png",
                         *FAST["sample"], "--decoder", "none")
    assert status == 2 and "latents of 4 channels are no pictures" in err[0]


def pictures(capsys, tmp_path, label):
    """The size of the picture, the same from golden and from the RTL."""
    found = []
    for backend in ("golden", "rtl"):
        path = tmp_path / f"{backend}.png"
        status, _, err = run(capsys, "sample", "--model", tmp_path / "run", "--backend", backend,
                             "--config", "n4", "--classes", label, "-o", path, *FAST["sample"])
        assert status == 0, err
        found.append(path.read_bytes())
    assert found[0] == found[1]
    return size(path)
