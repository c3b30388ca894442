"""A tiny network as `hqdm sample` finds it."""

import pytest
import torch

from hqdm.firmware.compile.lowering import lower
from hqdm.golden.network.network_file import save_network
from hqdm.learn.calibration import quantise
from hqdm.learn.diffusion.sampler import make_scheduler
from tests.tiny_models import tiny_models, write_decoder

STEPS = 2


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """A folder as models/cifar10 with a tiny network of two steps."""
    folder = tmp_path_factory.mktemp("tiny")
    model, decoder = tiny_models()
    write_decoder(folder, decoder)
    scheduler = make_scheduler()
    scheduler.set_timesteps(STEPS)
    schedule = scheduler.timesteps.tolist()
    real = lower(model.unet.eval().requires_grad_(False), tuple(schedule),
                 contexts=model.embedding.weight.detach())
    x = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(7))
    network = quantise(real, [x] * STEPS, torch.tensor([1, 10]))[1]
    save_network(folder / "w4a4.integers.safetensors", network, {"schedule": schedule})
    return folder
