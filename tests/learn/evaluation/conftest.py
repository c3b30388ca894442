"""A tiny UNet with random weights, quantised and lowered; a decoder; an extractor that is quick."""

from types import SimpleNamespace

import pytest
import torch

from hqdm.learn.data.cifar10 import Dataset
from hqdm.learn.diffusion.autoencoder import make_autoencoder
from hqdm.learn.diffusion.files import save_autoencoder, save_unet
from hqdm.learn.diffusion.presets import autoencoder_preset, unet_preset
from hqdm.learn.diffusion.unet import make_unet


class Means:
    """Means of 2 x 2 patches as features, the first ten of them as scores."""

    name = "means"

    def __init__(self):
        self.seen = 0

    def __call__(self, images):
        self.seen += len(images)
        features = torch.nn.functional.adaptive_avg_pool2d(images.float() / 255, 2).flatten(1)
        return features, features[:, :10]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def extractor():
    return Means()


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """unet.safetensors and decoder.safetensors in a folder."""
    folder = tmp_path_factory.mktemp("models")
    unet, autoencoder = unet_preset("tiny"), autoencoder_preset("tiny")
    model = make_unet(unet, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        torch.nn.init.normal_(model.unet.conv_out.weight, std=0.1)
        decoder = make_autoencoder(autoencoder)
    save_unet(folder / "unet.safetensors", unet, model.state_dict(), {})
    save_autoencoder(folder / "decoder.safetensors", autoencoder, decoder.state_dict(), 1.0, {},
                     decoder_only=True)
    return SimpleNamespace(folder=folder, unet=folder / "unet.safetensors",
                           decoder=folder / "decoder.safetensors")


@pytest.fixture(scope="session")
def quantised(files):
    """A quantised network and its integers for 5 steps."""
    from hqdm.cli.lower import lower_file
    from hqdm.cli.quantize import load_teacher
    from hqdm.learn.qat.distil import Recipe
    from hqdm.learn.qat.methods import make_method
    from hqdm.learn.qat.run import Job, quantise
    out = files.folder / "w8a8.safetensors"
    method = make_method("hqdm", weights=8, activations=8)
    quantise(load_teacher(files.unet, 2.0), method, Recipe(iterations=1, batch=2),
             Job(out=out, trajectories=1, steps=5), lambda *a: None)
    integers = files.folder / "w8a8.integers.safetensors"
    summary = lower_file(out, integers, 2, 1, 2.0, lambda *a: None)
    return SimpleNamespace(file=out, integers=integers, summary=summary)


@pytest.fixture(scope="session")
def images():
    """Forty training and forty test images of noise."""
    def make(seed):
        random = torch.Generator().manual_seed(seed)
        return Dataset(torch.randint(256, (40, 3, 32, 32), dtype=torch.uint8, generator=random),
                       torch.randint(10, (40,), generator=random))
    return make(1), make(2)
