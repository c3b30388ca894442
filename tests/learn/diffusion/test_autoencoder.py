"""Shapes, ranges and scale of the autoencoder."""

import pytest
import torch

from hqdm.learn.diffusion.autoencoder import decode, encode, make_autoencoder, to_images, to_signal
from hqdm.learn.diffusion.presets import AUTOENCODERS, autoencoder_preset


def test_bytes_to_signal_and_back_is_the_identity():
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    signal = to_signal(images)
    assert signal.min() == -1 and signal.max() == 1
    assert torch.equal(to_images(signal), images)
    assert to_images(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]
    with pytest.raises(TypeError, match="images: wanted an uint8 tensor, got float32"):
        to_signal(signal)


def test_latents_are_a_third_of_the_image():
    assert {p.latent_size for p in AUTOENCODERS.values()} == {16}
    model = make_autoencoder(autoencoder_preset("tiny")).eval()
    images = torch.randint(256, (3, 3, 32, 32), dtype=torch.uint8)
    latents = encode(model, images)
    assert latents.shape == (3, 4, 16, 16) and latents.dtype == torch.float32
    back = decode(model, latents, batch=2)
    assert back.shape == images.shape and back.dtype == torch.uint8
    model.register_to_config(scaling_factor=2.0)
    assert torch.equal(encode(model, images), 2 * latents)
    assert torch.equal(decode(model, 2 * latents, batch=2), back)


def test_unknown_preset():
    with pytest.raises(ValueError, match=r"autoencoder preset: wanted one of cifar10, .*'large'"):
        autoencoder_preset("large")
