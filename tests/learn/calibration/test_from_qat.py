"""Networks of hqdm.learn.qat in integers."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from hqdm.firmware.compile.lowering import lower_quantised
from hqdm.learn.calibration import Quantisation, Reference, quantise
from hqdm.learn.calibration.from_qat import quantisation
from hqdm.learn.diffusion.sampler import make_scheduler
from hqdm.learn.qat.calibrate import calibrate
from hqdm.learn.qat.convert import convert
from hqdm.learn.qat.export import freeze
from hqdm.learn.qat.methods import make_method
from hqdm.learn.qat.trajectory import Teacher, record
from tests.small_networks import conditional_unet


@pytest.fixture(scope="module")
def student_of():
    torch.manual_seed(2)
    teacher = Teacher(conditional_unet(), make_scheduler(), (4, 16, 16), torch.randn(4, 24), 2.0)
    data = record(teacher, 2, steps=3, batch=2, seed=3)

    def make(name, **options):
        student = convert(teacher.unet, make_method(name, **options), data.schedule, rank=2)
        calibrate(student, teacher, data, samples=2)
        return freeze(student, data.schedule), teacher.tokens, data
    return make


@pytest.mark.parametrize(("name", "options"), [
    ("hqdm", {"axis": "width"}), ("hqdm", {"axis": "channel"}),
    ("hqdm", {"axis": "channel", "span": "free"}), ("efficientdm", {})])
def test_the_reference_is_the_trained_model(student_of, name, options):
    frozen, tokens, data = student_of(name, weights=4, activations=4, **options)
    real = lower_quantised(frozen, tokens)
    loads = [node.layer.load for node in real.network.nodes]
    free = name == "efficientdm" or "span" in options
    assert {load.ranged for load in loads if load.bits == 4} == {free}
    assert not any(load.ranged for load in loads if load.bits == 8)
    latents = [data.latents[:, i].float() for i in range(3)]
    same, integers = quantise(real, latents, data.labels)
    assert same is real
    for i, t in enumerate(data.schedule):
        context = tokens[data.labels][:, None]
        with torch.no_grad():
            wanted = frozen.model(latents[i], t, context).sample
            got = Reference.quantised(real)(latents[i], i, data.labels)
        noise = integers(latents[i], i, data.labels)
        exact, close = (float(F.cosine_similarity(y.flatten(1), wanted.flatten(1)).min())
                        for y in (got, noise))
        print(f"{name} {t}: reference {exact:.6f}, integers {close:.6f}")
        assert exact >= 0.97 and close >= 0.97


@pytest.mark.parametrize("axis", ["width", "channel"])
def test_a_trained_network_of_padding_0_is_turned(axis):
    """Kernels and rotated rows: what the twin computes, from the other corner."""
    torch.manual_seed(2)
    teacher = Teacher(conditional_unet(downsample_padding=0), make_scheduler(), (4, 16, 16),
                      torch.randn(4, 24), 2.0)
    data = record(teacher, 2, steps=2, batch=2, seed=3)
    student = convert(teacher.unet, make_method("hqdm", axis=axis), data.schedule, rank=2)
    calibrate(student, teacher, data, samples=2)
    frozen, tokens = freeze(student, data.schedule), teacher.tokens
    real = lower_quantised(frozen, tokens)
    assert real.network.mirrored
    latents = [data.latents[:, i].float() for i in range(2)]
    integers = quantise(real, latents, data.labels)[1]
    for i, t in enumerate(data.schedule):
        with torch.no_grad():
            wanted = frozen.model(latents[i], t, tokens[data.labels][:, None]).sample
        got = Reference.quantised(real)(latents[i], i, data.labels)
        for y in (got, integers(latents[i], i, data.labels)):
            assert float(F.cosine_similarity(y.flatten(1), wanted.flatten(1)).min()) >= 0.97


def test_free_bounds_along_the_width_cannot_be_turned():
    torch.manual_seed(2)
    teacher = Teacher(conditional_unet(downsample_padding=0), make_scheduler(), (4, 16, 16),
                      torch.randn(4, 24), 2.0)
    data = record(teacher, 2, steps=2, batch=2, seed=3)
    student = convert(teacher.unet, make_method("hqdm", axis="width", span="free"), data.schedule,
                      rank=2)
    calibrate(student, teacher, data, samples=2)
    with pytest.raises(ValueError, match=r"wanted symmetric bounds or another axis than the wid"):
        lower_quantised(freeze(student, data.schedule), teacher.tokens)


def test_bounds_are_those_of_the_trained_quantisers(student_of):
    frozen, _, _ = student_of("hqdm", axis="channel", span="free", activations=3)
    name, layer = next((n, v) for n, v in frozen.layers().items() if v.rule.asymmetric)
    layer.activation.zero.copy_(torch.tensor([0.0, 2.0, 7.0]))
    rounded, known = quantisation(frozen).modules[name]
    assert rounded.load.ranged
    assert known.low.tolist() == [0, -2, -7] and known.high.tolist() == [7, 5, 0]
    with pytest.raises(ValueError, match="bounds: wanted low and high exactly for free ranges"):
        Quantisation(modules={name: (rounded, replace(known, low=None))})


def test_double_hadamard_is_refused(student_of):
    frozen, tokens, _ = student_of("double-hadamard")
    with pytest.raises(ValueError, match="wanted activations rotated back, got rotated weights"):
        lower_quantised(frozen, tokens)
