"""The counter of multiply-accumulates against counts by hand, and the presets' sizes."""

import pytest
import torch
from diffusers.models.attention_processor import Attention
from torch import nn

from hqdm.learn.diffusion.autoencoder import make_autoencoder
from hqdm.learn.diffusion.macs import count_macs, parameters
from hqdm.learn.diffusion.presets import AUTOENCODERS, UNETS
from hqdm.learn.diffusion.unet import ClassConditionalUNet


def test_convolution_and_linear():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 8, 3, groups=4), nn.Flatten(),
        nn.Linear(8 * 2 * 2, 5))
    assert count_macs(model, torch.zeros(2, 3, 8, 8)) == {
        "conv": 2 * (4 * 4 * 8 * 3 * 9 + 2 * 2 * 8 * 2 * 9), "linear": 2 * 32 * 5, "attention": 0}


def test_attention_counts_both_products():
    model = Attention(query_dim=6, heads=2, dim_head=4)
    projections = 7 * 6 * 8 * 3 + 7 * 8 * 6
    assert count_macs(model, torch.zeros(1, 7, 6)) == {
        "conv": 0, "linear": projections, "attention": 2 * 7 * 7 * 8}


def _unet_macs(name):
    preset = UNETS[name]
    with torch.device("meta"):
        model = ClassConditionalUNet(preset)
        label = torch.zeros(1, dtype=torch.int64)
        latents = torch.zeros(1, preset.latent_channels, *[preset.latent_size] * 2)
        return sum(count_macs(model, latents, label, label).values()), parameters(model)


@pytest.mark.parametrize("name,least,most", [
    ("cifar10", 150e6, 200e6), ("cifar10-small", 90e6, 110e6)])
def test_unet_fits_the_budget(name, least, most):
    macs, size = _unet_macs(name)
    assert least < macs < most
    assert size / 2 < 8e6           # bytes, four bits a weight


def test_decoders_ship_in_a_few_megabytes():
    for preset in AUTOENCODERS.values():
        assert 2 * parameters(make_autoencoder(preset).decoder) < 4e6
