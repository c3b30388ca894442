"""The rotation that suits a layer."""

import pytest
import torch

from hqdm.learn.qat.axes import admitted, choose_axes, errors_by_axis
from hqdm.learn.qat.convert import convert
from hqdm.learn.qat.methods import make_method
from hqdm.learn.qat.rotation import rotate
from hqdm.learn.qat.search import quantisation_error


def test_a_rotation_spreads_outliers_and_gathers_constants():
    generator = torch.Generator().manual_seed(0)
    outliers = torch.randn(64, 32, generator=generator)
    outliers[:, 3] *= 20
    smooth = torch.randn(64, 1, generator=generator) + 0.3 * torch.randn(
        64, 32, generator=generator)
    for x, helps in ((outliers, True), (smooth, False)):
        plain, rotated = (float(quantisation_error(y, 4)) for y in (x, rotate(x, 5, -1)))
        assert (rotated < 0.7 * plain) if helps else (plain < 0.7 * rotated)


def test_the_error_is_that_of_the_quantiser_of_the_method(teacher, data):
    """One-sided values gain by a zero point; 8-bit layers have none."""
    x = 2 * torch.randn(64, 32, generator=torch.Generator().manual_seed(1))
    x = torch.nn.functional.silu(x)
    symmetric, free = (float(quantisation_error(x, 4, there)) for there in (False, True))
    assert free < 0.6 * symmetric
    found = []
    for span in ("symmetric", "free"):
        method = make_method("hqdm", axis="best", order=3, span=span)
        student = convert(teacher.unet, method, data.schedule, rank=1)
        found.append(errors_by_axis(student, teacher, data, 3))
    gains = [row["none"] / found[1][name]["none"] for name, row in found[0].items()]
    edge = [g for g, name in zip(gains, found[0], strict=True)
            if not student.layers()[name].rule.asymmetric]
    assert max(gains) > 1.2 and edge == pytest.approx([1] * 6, rel=1e-4)


def test_errors_and_the_choice(teacher, data):
    method = make_method("hqdm", axis="best", order=3)
    student = convert(teacher.unet, method, data.schedule, rank=1)
    errors = errors_by_axis(student, teacher, data, 3)
    rules = student.layers()
    assert all(set(row) == set(admitted(rules[n].rule, 3)) for n, row in errors.items())
    assert all(0 < error < 1 for row in errors.values() for error in row.values())
    axes = choose_axes(teacher, data, method)
    assert axes.keys() == errors.keys() and len(set(axes.values())) > 1
    chosen = convert(teacher.unet, method, data.schedule, rank=1, axes=axes).layers()
    assert all(chosen[n].rule.axis == axis for n, axis in axes.items())
    assert method.label == "hqdm-best-k3-w4a4"
