"""Latents of a data set."""

import torch

from hqdm.learn.diffusion.autoencoder import encode, make_autoencoder
from hqdm.learn.diffusion.presets import autoencoder_preset
from hqdm.learn.train.latents import encode_all


def test_encodes_both_ways_and_caches(images, tmp_path):
    model = make_autoencoder(autoencoder_preset("tiny")).eval()
    latents, labels = encode_all(model, images, "cpu", tmp_path, batch=5)
    assert latents.shape == (2, 12, 4, 16, 16) and latents.dtype == torch.float16
    torch.testing.assert_close(latents[0].float(), encode(model, images.images),
                               rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(latents[1].float(), encode(model, images.flipped().images),
                               rtol=1e-2, atol=1e-2)
    assert torch.equal(labels, images.labels)
    stored = list((tmp_path / "data").iterdir())
    again, _ = encode_all(model, images, "cpu", tmp_path)
    assert torch.equal(again, latents) and list((tmp_path / "data").iterdir()) == stored
    whole = stored[0].read_bytes()
    stored[0].write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    again, _ = encode_all(model, images, "cpu", tmp_path, batch=5)
    assert torch.equal(again, latents) and stored[0].read_bytes() == whole
    other = make_autoencoder(autoencoder_preset("tiny")).eval()
    encode_all(other, images, "cpu", tmp_path)
    assert len(list((tmp_path / "data").iterdir())) == 2
