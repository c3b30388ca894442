"""A tiny UNet with random weights, quantised and lowered; a decoder; an extractor that is quick."""

from types import SimpleNamespace

import pytest
import torch

from hqdm.learn.data.cifar10 import Dataset
from tests.tiny_models import Means, one_thread, tiny_models, write_decoder, write_unet

__all__ = ["one_thread"]


@pytest.fixture
def extractor():
    return Means()


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """unet.safetensors and decoder.safetensors in a folder."""
    folder = tmp_path_factory.mktemp("models")
    model, decoder = tiny_models()
    write_unet(folder / "unet.safetensors", model)
    write_decoder(folder, decoder)
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
