"""Every kind of checkpoint predicts noise; foreign and damaged ones are refused."""

from dataclasses import replace

import pytest
import torch
from diffusers import UNet2DModel

from hqdm.kit import tensor_file
from hqdm.kit.tensor_file import load_checkpoint
from hqdm.learn.diffusion.autoencoder import to_images
from hqdm.learn.diffusion.files import load_unet
from hqdm.learn.diffusion.sampler import initial_noise, sample_latents
from hqdm.learn.evaluation.distance import cosines, psnr, reference_calls
from hqdm.learn.evaluation.images import generate
from hqdm.learn.evaluation.subjects import KINDS, load_subject


def test_kinds(files, quantised):
    found = {p: load_subject(p) for p in (files.unet, quantised.file, quantised.integers)}
    assert [s.kind for s in found.values()] == ["unet", "quantised", "integers"]
    assert {s.shape for s in found.values()} == {(4, 16, 16)}
    assert {s.null_class for s in found.values()} == {10}
    assert found[files.unet].schedule is None
    assert found[quantised.integers].schedule == found[quantised.file].schedule
    assert found[quantised.integers].about["method"] == "hqdm-width-k5-w8a8"
    for path, subject in found.items():
        assert subject.digest == load_checkpoint(path, KINDS).digest[:16]
    assert [s.integers is not None for s in found.values()] == [False, False, True]


def test_the_integers_are_what_predicts(quantised):
    """What is compiled for a device is the network that golden samples with."""
    subject = load_subject(quantised.integers)
    x = torch.randn(1, *subject.shape, generator=torch.Generator().manual_seed(1))
    timestep, labels = torch.tensor(subject.schedule[1]), torch.tensor([3])
    assert torch.equal(subject.predict(x, timestep, labels), subject.integers(x, 1, labels))


def test_lowering_reads_the_network_once(quantised, tmp_path, monkeypatch):
    from hqdm.cli.lower import lower_file
    read, paths = tensor_file._read, []
    monkeypatch.setattr(tensor_file, "_read", lambda path: paths.append(path) or read(path))
    lower_file(quantised.file, tmp_path / "x.safetensors", 1, 1, 2.0, lambda *a: None)
    assert paths == [quantised.file]


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


def test_guidance(quantised):
    subject = load_subject(quantised.integers)
    assert (subject.guidance(None), subject.guidance(1), subject.guidance(3.5)) == (2, 1, 3.5)
    for classes, text in ((7, "has no null class, got 2"), (0, "has no classes, got 2")):
        other = replace(subject, guided=False, null_class=classes)
        assert other.guidance(None) == other.guidance(1) == 1
        with pytest.raises(ValueError, match=rf"--guidance: wanted 1, as w8a8\.integers {text}"):
            other.guidance(2.0)


def test_a_folder_without_classes_or_decoder(tmp_path):
    """Of diffusers, not square: sampled, compared and drawn as any other network."""
    torch.manual_seed(1)
    UNet2DModel(sample_size=(4, 6), in_channels=3, out_channels=3, block_out_channels=(8,),
                layers_per_block=1, norm_num_groups=4, down_block_types=("DownBlock2D",),
                up_block_types=("UpBlock2D",), add_attention=False).save_pretrained(tmp_path / "m")
    subject = load_subject(tmp_path / "m")
    assert (subject.name, subject.shape, subject.null_class) == ("m", (3, 4, 6), 0)
    calls = reference_calls(subject, 2, seed=1, steps=4, guidance=None)
    assert len(calls) == 4 and calls[0][2].tolist() == [0, 0]
    assert cosines(subject, calls).worst == pytest.approx(1, abs=1e-6)
    made, _ = generate(subject, None, tmp_path, 2, seed=1, steps=4, guidance=None, batch=2,
                       tick=lambda *a: None)
    assert made["images"].shape == (2, 3, 4, 6)
    assert torch.equal(made["images"], to_images(made["latents"]))


def test_a_file_that_lies_about_its_schedule(quantised, tmp_path):
    read = load_checkpoint(quantised.integers, KINDS)
    for schedule, text in (({"beta_end": 7}, r"beta_end: wanted 0\.\.1, got 7"), ({"x": 1}, "'x'"),
                           ([1], "not: "),
                           ({"num_train_timesteps": 1e3}, "wanted an integer, got 1000")):
        lying = replace(read, training=read.training | {"noise_schedule": schedule})
        tensor_file.save_checkpoint(tmp_path / "x.safetensors", lying)
        with pytest.raises(ValueError, match=f"x.safetensors: wanted a noise schedule .*{text}"):
            load_subject(tmp_path / "x.safetensors")


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
