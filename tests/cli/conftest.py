"""A tiny network as `hqdm sample` finds it."""

import pytest
import torch

from hqdm.firmware.compile.lowering import lower
from hqdm.golden.network.network_file import save_network
from hqdm.learn.calibration import quantise
from hqdm.learn.diffusion.autoencoder import make_autoencoder
from hqdm.learn.diffusion.files import save_autoencoder
from hqdm.learn.diffusion.presets import autoencoder_preset, unet_preset
from hqdm.learn.diffusion.sampler import make_scheduler
from hqdm.learn.diffusion.unet import make_unet

STEPS = 2


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """A folder as models/cifar10 with a tiny network of two steps."""
    folder = tmp_path_factory.mktemp("tiny")
    model = make_unet(unet_preset("tiny"), 1)
    small = autoencoder_preset("tiny")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        torch.nn.init.normal_(model.unet.conv_out.weight, std=0.1)
        decoder = make_autoencoder(small)
    save_autoencoder(folder / "decoder.safetensors", small, decoder.state_dict(), 1.0, {},
                     decoder_only=True)
    scheduler = make_scheduler()
    scheduler.set_timesteps(STEPS)
    schedule = scheduler.timesteps.tolist()
    real = lower(model.unet.eval().requires_grad_(False), tuple(schedule),
                 contexts=model.embedding.weight.detach())
    x = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(7))
    network = quantise(real, [x] * STEPS, torch.tensor([1, 10]))[1]
    save_network(folder / "w4a4.integers.safetensors", network, {"schedule": schedule})
    return folder
