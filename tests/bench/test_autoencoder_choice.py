"""The comparison of autoencoders runs, and says what was wanted."""

import torch

from bench.autoencoder_choice import kl, main, psnr, vq
from hqdm.learn.diffusion.presets import AUTOENCODERS


def test_both_reconstruct(monkeypatch):
    torch.manual_seed(0)
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    for candidate in (kl(AUTOENCODERS["tiny"]), vq(AUTOENCODERS["tiny"], 16)):
        output, further = candidate.step(images.float() / 127.5 - 1)
        assert output.shape == images.shape and further.dim() == 0
        (output.square().mean() + further).backward()
        assert all(p.grad is not None for p in candidate.model.parameters())
        assert 0 < psnr(candidate, images) < 30


def test_no_data(tmp_path, capsys):
    assert main(["--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
