"""Tiny UNets with random weights, lowered and quantised."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import UNet2DConditionModel, UNet2DModel

from hqdm.firmware.compile.lowering import lower
from hqdm.learn.calibration import quantise
from hqdm.spec.precision import Formats

TIMESTEPS = (901, 501, 21)
BRANCHES = ("conv2", "proj_out", "to_out", "ff.net.2")


def conditional_unet(downsample_padding: int = 1) -> UNet2DConditionModel:
    """Every kind of layer of ldm4-imagenet; branches weaker than what they are added to, as
    training makes them."""
    torch.manual_seed(0)
    model = UNet2DConditionModel(
        sample_size=16, in_channels=4, out_channels=4, block_out_channels=(32, 64),
        layers_per_block=1, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=24,
        attention_head_dim=2, norm_num_groups=8,
        downsample_padding=downsample_padding).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if any(branch in name for branch in BRANCHES):
            parameter *= 0.3
    return model


def unconditional_unet() -> UNet2DModel:
    """Attention blocks over 8 x 4 pixels, three channels, scale-shift norms."""
    torch.manual_seed(1)
    return UNet2DModel(
        sample_size=(16, 8), in_channels=3, out_channels=3, block_out_channels=(16, 32),
        layers_per_block=1, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"), norm_num_groups=4, attention_head_dim=16,
        resnet_time_scale_shift="scale_shift").eval().requires_grad_(False)


def make(weight_bits: int, activation_bits: int, ranged: bool = False) -> SimpleNamespace:
    """The conditional UNet in integers: model, contexts, latents per timestep, classes."""
    model = conditional_unet()
    generator = torch.Generator().manual_seed(3)
    contexts = torch.randn(3, 24, generator=generator)
    latents = [torch.randn(4, 4, 16, 16, generator=generator) for _ in TIMESTEPS]
    classes = torch.tensor([2, 0, 1, 1])
    real, integers = quantise(
        lower(model, TIMESTEPS, contexts=contexts,
              formats=Formats(weight_bits=weight_bits, activation_bits=activation_bits,
                              ranged=ranged)),
        latents, classes)
    return SimpleNamespace(model=model, contexts=contexts, latents=latents, classes=classes,
                           real=real, integers=integers)


@pytest.fixture(scope="session")
def w8a8():
    return make(8, 8)


@pytest.fixture(scope="session")
def w4a4():
    return make(4, 4)


@pytest.fixture(scope="session")
def free():
    """W4A4 with free bounds."""
    return make(4, 4, ranged=True)
