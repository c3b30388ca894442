"""Autoencoder of images to latents of a quarter of the pixels: `diffusers.AutoencoderKL`."""

from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from hqdm.kit.check import check_dtype
from hqdm.learn.diffusion.presets import AutoencoderPreset


def make_autoencoder(preset: AutoencoderPreset) -> AutoencoderKL:
    """A freshly initialised autoencoder; its `config.scaling_factor` is 1 until it is trained."""
    levels = len(preset.channels)
    return AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=preset.latent_channels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=preset.channels, layers_per_block=preset.blocks,
        norm_num_groups=preset.groups, sample_size=preset.size, scaling_factor=1.0,
        mid_block_add_attention=False)


def to_signal(images: Tensor) -> Tensor:
    """uint8 (..., 3, H, W) to float32 in -1..1."""
    check_dtype("images", images, torch.uint8)
    return images.float() / 127.5 - 1


def to_images(signal: Tensor) -> Tensor:
    """Float in -1..1 to uint8, clipped."""
    return ((signal.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


@torch.no_grad()
def encode(autoencoder: AutoencoderKL, images: Tensor) -> Tensor:
    """uint8 (B, 3, H, W) to the mean latents float32 (B, L, H/2, W/2), scaled to unit deviation."""
    mean = autoencoder.encode(to_signal(images)).latent_dist.mean
    return mean.float() * autoencoder.config.scaling_factor


@torch.no_grad()
def decode(autoencoder: Any | None, latents: Tensor, batch: int = 256) -> Tensor:
    """Scaled latents (B, L, H, W) to uint8 images (B, 3, fH, fW), on the device of `latents`.

    f is 2 of our own autoencoders. Without an autoencoder the latents are the images: L is 3, or 1
    for grey ones.
    """
    if autoencoder is None:
        return to_images(latents).expand(-1, 3, -1, -1)
    scale = autoencoder.config.scaling_factor
    shift = getattr(autoencoder.config, "shift_factor", None) or 0.0
    return torch.cat([to_images(autoencoder.decode(part / scale + shift).sample)
                      for part in latents.split(batch)]).expand(-1, 3, -1, -1)
