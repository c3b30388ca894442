"""Small networks with random weights, and devices that run them."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import UNet2DModel

from hqdm.firmware.compile.lowering import lower
from hqdm.firmware.compile.network import compile_network
from hqdm.firmware.device.runner import DeviceNetwork
from hqdm.golden.carrier import Carrier
from hqdm.learn.calibration import quantise
from hqdm.learn.diffusion.sampler import make_scheduler
from hqdm.sim.compare_layer import make_transport
from hqdm.spec import config_by_name
from hqdm.spec.precision import Formats
from tests.tiny_models import tiny_models

STEPS = 2


def schedule(steps: int = STEPS) -> tuple[int, ...]:
    scheduler = make_scheduler()
    scheduler.set_timesteps(steps)
    return tuple(scheduler.timesteps.tolist())


def latents(count: int, *shape: int) -> torch.Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(7))


@pytest.fixture(scope="session")
def tiny():
    """The tiny class-conditional UNet: two heads, gates, class biases, two sources."""
    model, _ = tiny_models()
    real = lower(model.unet.eval().requires_grad_(False), schedule(),
                 contexts=model.embedding.weight.detach())
    x = latents(2, 4, 16, 16)
    return quantise(real, [x] * STEPS, torch.tensor([1, 10]))[1]


@pytest.fixture(scope="session")
def unconditional():
    """One head over 8 x 4 pixels, three channels, scale-shift norms, no classes, free bounds."""
    torch.manual_seed(1)
    model = UNet2DModel(
        sample_size=(16, 8), in_channels=3, out_channels=3, block_out_channels=(16, 32),
        layers_per_block=1, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"), norm_num_groups=4, attention_head_dim=32,
        resnet_time_scale_shift="scale_shift").eval().requires_grad_(False)
    real = lower(model, schedule(), formats=Formats(activation_bits=3, ranged=True))
    return quantise(real, [latents(2, 3, 16, 8)] * STEPS)[1]


@pytest.fixture(scope="session")
def compiled(tiny):
    return compile_network(tiny, config_by_name("n4"))


def make_device(program, backend="golden"):
    return DeviceNetwork(program, make_transport(
        backend, program.config, program.memory.total_bytes, 40, 1))


@pytest.fixture
def device(compiled):
    """The tiny network on the functional device."""
    return make_device(compiled)


@pytest.fixture
def on_device():
    return make_device


@pytest.fixture
def encoded(tiny):
    """A latent (4, 16, 16) as each timestep takes it."""
    def encode(timestep, index=0):
        carrier = tiny.encode(latents(2, 4, 16, 16)[index], timestep)
        return SimpleNamespace(
            own=carrier, batch=Carrier(carrier.values.unsqueeze(0), carrier.exponent))
    return encode
