"""What models are trained, quantised and judged with, in small: files, images, an extractor."""

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image

from hqdm.learn.diffusion.autoencoder import make_autoencoder
from hqdm.learn.diffusion.files import save_autoencoder, save_unet
from hqdm.learn.diffusion.presets import autoencoder_preset, unet_preset
from hqdm.learn.diffusion.unet import ClassConditionalUNet, make_unet


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Means:
    """An extractor that is quick: means of 2 x 2 patches, the first ten of them as scores."""

    name = "means"

    def __init__(self):
        self.seen = 0

    def __call__(self, images):
        self.seen += len(images)
        features = torch.nn.functional.adaptive_avg_pool2d(images.float() / 255, 2).flatten(1)
        return features, features[:, :10]


def tiny_models() -> tuple[ClassConditionalUNet, AutoencoderKL]:
    """The tiny UNet, whose output is not zero as before training, and autoencoder."""
    model = make_unet(unet_preset("tiny"), 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        torch.nn.init.normal_(model.unet.conv_out.weight, std=0.1)
        return model, make_autoencoder(autoencoder_preset("tiny"))


def write_unet(path: Path, model: ClassConditionalUNet) -> None:
    save_unet(path, unet_preset("tiny"), model.state_dict(), {})


def write_decoder(folder: Path, autoencoder: AutoencoderKL) -> None:
    """FOLDER/decoder.safetensors."""
    save_autoencoder(folder / "decoder.safetensors", autoencoder_preset("tiny"),
                     autoencoder.state_dict(), 1.0, {}, decoder_only=True)


def write_images(*folders: Path, count: int) -> None:
    """`count` images of noise in each folder."""
    random = torch.Generator().manual_seed(1)
    for folder in folders:
        folder.mkdir(parents=True)
        for i in range(count):
            pixels = torch.randint(256, (32, 32, 3), dtype=torch.uint8, generator=random)
            Image.fromarray(pixels.numpy()).save(folder / f"{i}.png")
