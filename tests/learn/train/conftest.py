"""Tiny runs."""

import pytest
import torch

from hqdm.learn.data.cifar10 import Dataset
from hqdm.learn.diffusion.autoencoder import make_autoencoder
from hqdm.learn.diffusion.presets import autoencoder_preset, unet_preset
from hqdm.learn.train.autoencoder import AutoencoderTask
from hqdm.learn.train.loop import Trainer
from hqdm.learn.train.options import Options
from hqdm.learn.train.schedule import Budget
from hqdm.learn.train.unet import UNetTask
from tests.tiny_models import one_thread

__all__ = ["one_thread"]

COUNT = 12


@pytest.fixture
def images():
    random = torch.Generator().manual_seed(1)
    return Dataset(
        torch.randint(256, (COUNT, 3, 32, 32), dtype=torch.uint8, generator=random),
        torch.randint(10, (COUNT,), generator=random))


@pytest.fixture
def unet_task():
    def make(options):
        random = torch.Generator().manual_seed(2)
        latents = torch.randn(2, COUNT, 4, 16, 16, generator=random).half()
        labels = torch.randint(10, (COUNT,), generator=random)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            autoencoder = make_autoencoder(autoencoder_preset("tiny")).eval()
        task = UNetTask(unet_preset("tiny"), latents, labels, autoencoder, options)
        task.rows = 1
        return task
    return make


@pytest.fixture
def autoencoder_task(images):
    return lambda options: AutoencoderTask(autoencoder_preset("tiny"), images, options)


@pytest.fixture
def options(tmp_path):
    def make(steps=6, out="run", **more):
        budget = more.pop("budget", None) or Budget(steps=steps)
        return Options(**{"batch": 4, "learning_rate": 1e-3, "warmup": 2, "check_every": 2} | more,
                       out=tmp_path / out, budget=budget)
    return make


@pytest.fixture
def trainer(options):
    def make(task, **more):
        chosen = options(**more)
        return Trainer(task(chosen), chosen)
    return make
