"""A tiny network as `hqdm sample` finds it."""

from collections import Counter
from functools import cached_property
from pathlib import Path

import pytest
import torch

from hqdm.firmware.compile.lowering import lower
from hqdm.golden.network.network_file import save_network
from hqdm.kit import tensor_file
from hqdm.learn.calibration import quantise
from hqdm.learn.diffusion.sampler import make_scheduler
from tests.tiny_models import tiny_models, write_decoder

STEPS = 2


@pytest.fixture
def reads(monkeypatch):
    """How often each checkpoint is read, and how many checksums are made, by name."""
    counts = Counter()
    read, digest = tensor_file._read, tensor_file.Checkpoint.digest.func

    def reading(path):
        counts[Path(path).name] += 1
        return read(path)

    def summing(checkpoint):
        counts["checksums"] += 1
        return digest(checkpoint)

    summed = cached_property(summing)
    summed.__set_name__(tensor_file.Checkpoint, "digest")
    monkeypatch.setattr(tensor_file, "_read", reading)
    monkeypatch.setattr(tensor_file.Checkpoint, "digest", summed)
    return counts


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
