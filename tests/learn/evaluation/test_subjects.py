"""Every kind of checkpoint predicts noise; foreign and damaged ones are refused."""

import pytest
import torch

from hqdm.learn.diffusion.files import load_unet
from hqdm.learn.diffusion.sampler import initial_noise, sample_latents
from hqdm.learn.evaluation.distance import cosines, psnr, reference_calls
from hqdm.learn.evaluation.subjects import load_subject


def test_kinds(files, quantised):
    found = {p: load_subject(p) for p in (files.unet, quantised.file, quantised.integers)}
    assert [s.kind for s in found.values()] == ["unet", "quantised", "integers"]
    assert {s.shape for s in found.values()} == {(4, 16, 16)}
    assert {s.null_class for s in found.values()} == {10}
    assert found[files.unet].schedule is None
    assert found[quantised.integers].schedule == found[quantised.file].schedule
    assert found[quantised.integers].about["method"] == "hqdm-width-k5-w8a8"


def test_float_is_the_models_sampler(files):
    labels = torch.tensor([3, 7])
    subject = load_subject(files.unet)
    got = subject.sample(initial_noise(2, subject.shape, 9), labels, 4, 2.0)
    wanted = sample_latents(load_unet(files.unet), labels, steps=4, guidance=2.0, seed=9)
    assert torch.equal(got, wanted)


def test_distances(files, quantised):
    subject = load_subject(files.unet)
    calls = reference_calls(subject, 2, seed=1, steps=5, guidance=2.0)
    assert len(calls) == 5 and calls[0][2].tolist() == [10, 10, 0, 1]
    assert cosines(subject, calls).worst == pytest.approx(1, abs=1e-6)
    ours, integers = (cosines(load_subject(p), calls) for p in (
        quantised.file, quantised.integers))
    assert 0.98 < integers.worst <= integers.mean < 1 > ours.mean > 0.99
    assert integers.values[integers.worst_step] == integers.worst


def test_lowering_says_how_close(quantised):
    assert quantised.summary["cosine"]["integers_worst"] > 0.995
    assert quantised.summary["timesteps"] == 5


def test_psnr():
    x = torch.tensor([0.0, 10.0])
    assert psnr(x, x + 1) == pytest.approx(20)
    assert psnr(x, x) == float("inf")
    with pytest.raises(ValueError, match=r"wanted shape \(2,\), got \(1,\)"):
        psnr(x, x[:1])


def test_bad_files(files, quantised, tmp_path):
    with pytest.raises(ValueError, match="kind unet, quantised, integers, got autoencoder"):
        load_subject(files.decoder)
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        load_subject(tmp_path / "none")
    (tmp_path / "short").write_bytes(files.unet.read_bytes()[:-5])
    with pytest.raises(ValueError, match="truncated or damaged"):
        load_subject(tmp_path / "short")
    with pytest.raises(ValueError, match="quantised for 5 steps, got --steps 20"):
        load_subject(quantised.file).check_steps(20)
