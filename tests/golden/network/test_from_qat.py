"""Networks of golden.qat in integers."""

import pytest
import torch
import torch.nn.functional as F

from firmware.lowering import lower_quantised
from golden.models.sampler import make_scheduler
from golden.network import Reference, quantise
from golden.qat.calibrate import calibrate
from golden.qat.convert import convert
from golden.qat.export import freeze
from golden.qat.methods import make_method
from golden.qat.trajectory import Teacher, record
from tests.golden.network.conftest import conditional_unet


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


@pytest.mark.parametrize("axis", ["width", "channel"])
def test_the_reference_is_the_trained_model(student_of, axis):
    frozen, tokens, data = student_of("hqdm", weights=4, activations=4, axis=axis)
    real = lower_quantised(frozen, tokens)
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
        print(f"{axis} {t}: reference {exact:.6f}, integers {close:.6f}")
        assert exact >= 0.97 and close >= 0.97


@pytest.mark.parametrize(("name", "text"), [
    ("efficientdm", r"wanted symmetric activations rotated back, got zero points"),
    ("double-hadamard", r"wanted symmetric activations rotated back, got rotated weights"),
])
def test_methods_the_core_cannot_run_are_refused(student_of, name, text):
    frozen, tokens, _ = student_of(name)
    with pytest.raises(ValueError, match=text):
        lower_quantised(frozen, tokens)
