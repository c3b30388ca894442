"""Folders of diffusers: what is read, what is cut off, what is refused in one line."""

import json

import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DModel, VQModel
from safetensors.torch import load_file, save_file

from hqdm.learn.diffusion.autoencoder import decode
from hqdm.learn.diffusion.files import load_decoder
from hqdm.learn.diffusion.folder import (
    find_part,
    find_schedule,
    load_autoencoder_folder,
    load_tokens,
    load_unet_folder,
    noise_only,
)
from hqdm.learn.diffusion.sampler import make_scheduler

WEIGHTS = "diffusion_pytorch_model.safetensors"


def unet(**options):
    torch.manual_seed(1)
    settings = {"sample_size": (4, 6), "in_channels": 3, "out_channels": 3,
                "block_out_channels": (8,), "layers_per_block": 1, "norm_num_groups": 4,
                "down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",),
                "add_attention": False} | options
    return UNet2DModel(**settings).eval()


@pytest.fixture
def folder(tmp_path):
    unet().save_pretrained(tmp_path / "unet")
    return tmp_path


@pytest.mark.parametrize("options", [{}, {"variant": "fp16"}, {"max_shard_size": "10KB"},
                                     {"variant": "fp16", "max_shard_size": "10KB"}])
def test_the_weights_are_read(tmp_path, options):
    """Whole, in half precision's file and in parts; here or in a pipeline's folder."""
    for place in ("a", "b/unet"):
        unet().save_pretrained(tmp_path / place, **options)
        got = load_unet_folder(tmp_path / place.removesuffix("/unet"))
        assert tuple(got.config.sample_size) == (4, 6) and not got.training
        for a, b in zip(got.state_dict().values(), unet().state_dict().values(), strict=True):
            assert a.dtype == torch.float32 and torch.equal(a, b)


def test_a_learned_variance_is_cut_off():
    whole, x = unet(out_channels=6), torch.randn(2, 3, 4, 6)
    with torch.no_grad():
        wanted = whole(x, 5).sample[:, :3]
        got = noise_only(whole)(x, 5).sample
    assert torch.equal(got, wanted) and whole.config.out_channels == 3


@pytest.mark.parametrize("channels", [(4, 3), (3, 4), (9, 4)])
def test_other_channels_are_refused(channels):
    with pytest.raises(ValueError, match=r"out_channels: wanted \d as in_channels, or \d+ with a"):
        noise_only(unet(in_channels=channels[0], out_channels=channels[1]))


def test_where_the_schedule_is_found(folder):
    default, where = find_schedule(folder, 3)
    assert where is None and default.clip_sample and not find_schedule(folder, 4)[0].clip_sample
    assert torch.equal(make_scheduler(default).alphas_cumprod, DDPMScheduler().alphas_cumprod)
    DDPMScheduler(beta_end=0.01).save_pretrained(folder / "scheduler")
    for start in (folder, folder / "unet"):
        found, where = find_schedule(start, 3)
        assert found.beta_end == 0.01 and where.parent.name == "scheduler"
    (folder / "scheduler" / "scheduler_config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"scheduler_config.json: wanted a noise schedule of bet"):
        find_schedule(folder, 3)


def spoil(folder, name, **changes):
    path = folder / "unet" / name
    if name == "config.json":
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    else:
        tensors = load_file(path)
        del tensors["conv_in.bias"]
        save_file(tensors | changes, path)


@pytest.mark.parametrize(("change", "error", "text"), [
    (lambda f: (f / "unet" / "config.json").unlink(), FileNotFoundError,
     "wanted config.json in it or in its folder unet, found none"),
    (lambda f: (f / "unet" / WEIGHTS).rename(f / "unet" / "diffusion_pytorch_model.bin"),
     FileNotFoundError, "diffusion_pytorch_model.bin is a pickle, which is not read"),
    (lambda f: (f / "unet" / WEIGHTS).unlink(), FileNotFoundError,
     "wanted diffusion_pytorch_model.safetensors, found none"),
    (lambda f: spoil(f, "config.json", _class_name="Transformer2DModel"), ValueError,
     "wanted a _class_name of UNet2DConditionModel or UNet2DModel, got 'Transformer2DModel'"),
    (lambda f: (f / "unet" / "config.json").write_text("[1]"), ValueError, "wanted an object, got"),
    (lambda f: (f / "unet" / "config.json").write_text("{"), ValueError, "wanted JSON, got"),
    (lambda f: spoil(f, WEIGHTS), ValueError, "got missing keys: conv_in.bias"),
])
def test_folders_that_are_refused(folder, change, error, text):
    change(folder)
    with pytest.raises(error, match=text):
        load_unet_folder(folder)


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="save_pretrained, found none; nothing is downloa"):
        find_part(tmp_path / "google" / "ddpm-cifar10-32", "unet")


@pytest.mark.parametrize(("kind", "part"), [(AutoencoderKL, "vae"), (VQModel, "vqvae")])
def test_decoders_of_diffusers(tmp_path, kind, part):
    model = kind(down_block_types=("DownEncoderBlock2D",) * 2, latent_channels=4,
                 up_block_types=("UpDecoderBlock2D",) * 2, block_out_channels=(8, 8),
                 norm_num_groups=4)
    model.save_pretrained(tmp_path / part)
    x = torch.randn(2, 4, 4, 6)
    for place in (tmp_path, tmp_path / part):
        got, digest = load_decoder(place, 4)
        assert decode(got, x).shape == (2, 3, 8, 12) and len(digest) == 16
        assert type(load_autoencoder_folder(place)) is kind
    with pytest.raises(ValueError, match="wanted a decoder of 3 channels, as the latents have"):
        load_decoder(tmp_path, 3)


def test_pictures_need_no_decoder():
    x = torch.tensor([-2.0, -1.0, 0.0, 1.0]).reshape(1, 1, 2, 2)
    assert decode(load_decoder(None, 1)[0], x)[0].tolist() == [[[0, 0], [128, 255]]] * 3
    assert decode(None, x.expand(1, 3, 2, 2)).shape == (1, 3, 2, 2)
    with pytest.raises(FileNotFoundError, match="latents of 4 channels are no pictures"):
        load_decoder(None, 4)


@pytest.mark.parametrize(("tensors", "text"), [
    ({"a": torch.zeros(2, 3), "b": torch.zeros(1)}, r"got shapes \[\(2, 3\), \(1,\)\]"),
    ({"a": torch.zeros(2, 3, 4)}, "wanted one finite float tensor"),
    ({"a": torch.zeros(2, 3, dtype=torch.int64)}, "wanted one finite float tensor"),
    ({"a": torch.full((2, 3), float("nan"))}, "wanted one finite float tensor")])
def test_tokens(tmp_path, tensors, text):
    path = tmp_path / "tokens.safetensors"
    with pytest.raises(FileNotFoundError, match="no such file of class tokens"):
        load_tokens(path)
    save_file({"any": torch.ones(3, 8).half()}, path)
    assert load_tokens(path).dtype == torch.float32 and load_tokens(path).shape == (3, 8)
    save_file(tensors, path)
    with pytest.raises(ValueError, match=text):
        load_tokens(path)
    path.write_bytes(b"x")
    with pytest.raises(ValueError, match="wanted a safetensors file, got"):
        load_tokens(path)
