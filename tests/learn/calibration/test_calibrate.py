"""Steps, exponents, mantissas."""

import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from hqdm.learn.calibration import (
    Quantisation,
    RealLayer,
    Reference,
    calibrate_steps,
    integer_network,
)
from hqdm.learn.calibration.approximate import exp2, exponent, mantissas, scale
from hqdm.learn.calibration.calibrate import find_ranges
from hqdm.learn.calibration.quantisers import best_range, best_step, fake_quantise, symmetric
from hqdm.learn.calibration.ranges import Ranges
from hqdm.learn.calibration.reference import rotate_real
from hqdm.learn.calibration.source import quantise_weights
from hqdm.spec import Layer, Load, Multiply


@pytest.mark.parametrize("factor", [1.0, 0.999999, 3.7e-9, 1234.5, 65535.0, 2.0 ** -40, 0.3])
def test_scale_has_sixteen_bits(factor):
    m, s = scale(factor)
    assert 1 <= m <= 65535 and 0 <= s <= 47
    if 15 - math.floor(math.log2(factor)) <= 47:
        assert abs(Fraction(m, 1 << s) / Fraction(factor) - 1) <= Fraction(1, 1 << 16)


def test_scale_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"scale: wanted a factor in 0\.\.65535\.0, got 70000"):
        scale(70000)
    with pytest.raises(ValueError, match=r"scale: wanted a factor in 0\.\.32767\.5, got 40000"):
        scale(40000, 1)


def test_exponent_leaves_head_room():
    for largest in (0.01, 0.7, 1.0, 21.8, 300.0):
        f = exponent(largest)
        assert largest * 1.5 * 2.0 ** f <= 32767
        assert f == 20 or largest * 1.5 * 2.0 ** (f + 1) > 32767
    assert exponent(0.0) == 20


def test_mantissas_fill_eighteen_bits():
    values = torch.tensor([3.25, -0.001, 0.0], dtype=torch.float64)
    g, j = mantissas(values)
    assert (1 << 16) <= int(g.abs().max()) < 1 << 17
    assert float((g * 2.0 ** -j - values).abs().max()) <= 2.0 ** (-j - 1)
    assert exp2(torch.tensor([-3, 0, 5])).tolist() == [0.125, 1.0, 32.0]


def test_best_step_beats_its_neighbours():
    x = torch.randn(20000, generator=torch.Generator().manual_seed(1))
    step = best_step(x, 4)
    errors = [float((symmetric(x, step * f, 4) - x).square().sum()) for f in (0.9, 1, 1.1)]
    assert errors[1] < errors[0] and errors[1] < errors[2]


def test_weights_keep_their_sign_and_range():
    w = torch.randn(6, 5, 3, 3, generator=torch.Generator().manual_seed(2))
    integers, scales = quantise_weights(w, 4)
    assert int(integers.abs().max()) <= 7 and scales.shape == (6,)
    miss = (integers * scales[:, None, None, None] - w).square().mean() / w.square().mean()
    assert float(miss) < 0.02


@pytest.mark.parametrize("dim", [-3, -1])
def test_real_rotation_is_its_own_inverse(dim):
    x = torch.randn(2, 8, 3, 16, dtype=torch.float64)
    r = rotate_real(x, 3, dim)
    assert torch.allclose(rotate_real(r, 3, dim), x)
    assert torch.allclose(r.square().sum(), x.square().sum())


def test_calibration_keeps_known_steps(w4a4):
    assert calibrate_steps(w4a4.real, w4a4.latents, w4a4.classes) is w4a4.real


def test_calibration_finds_bounds(free, w4a4):
    """All levels, zero among them; one-sided after SiLU; nearer to the float model."""
    sides, names = Counter(), set()
    for node, real, own in zip(free.real.network.nodes, free.real.layers, free.integers.layers,
                               strict=True):
        if not node.layer.load.ranged:
            assert real.low is None and int(own.base.load_high.min()) == 119
            continue
        names.add(node.layer.name)
        assert torch.equal(real.low, own.base.load_low)
        assert bool((real.high - real.low == 15).all())
        assert int(real.low.max()) <= 0 <= int(real.high.min())
        sides.update((-real.low).tolist())
    assert names and max(sides) > 7 and min(sides) < 7
    again = calibrate_steps(free.real, free.latents, free.classes)
    assert again is free.real
    errors = []
    for case in (free, w4a4):
        exact = Reference(case.real)(case.latents[0], 0, case.classes)
        miss = Reference.quantised(case.real)(case.latents[0], 0, case.classes) - exact
        errors.append(float(miss.square().sum()))
    assert errors[0] < errors[1]


def test_bounds_that_are_missing_name_the_layer(free):
    ranges = find_ranges(free.real, free.latents, free.classes)
    index = next(i for i, n in enumerate(free.real.network.nodes) if n.layer.load.ranged)
    layers = list(free.real.layers)
    layers[index] = replace(layers[index], low=None)
    with pytest.raises(ValueError, match="wanted bounds of the activation, got none"):
        integer_network(replace(free.real, layers=tuple(layers)), ranges)


@pytest.mark.parametrize(("bits", "sides"), [(4, (0, 15)), (3, (0, 7)), (2, (0, 3))])
def test_best_range_of_one_sided_values(bits, sides):
    x = torch.rand(5000, generator=torch.Generator().manual_seed(1))
    step, low, high = best_range(x, bits)
    assert (low, high) == sides
    error = float((fake_quantise(x, step, low, high) - x).square().mean())
    assert error < 0.6 * float((symmetric(x, best_step(x, bits), bits) - x).square().mean())


def test_latents_for_every_timestep_are_wanted(w4a4):
    with pytest.raises(ValueError, match=r"calibration: wanted latents for 3 timesteps, got 1"):
        find_ranges(w4a4.real, w4a4.latents[:1])


def test_missing_ranges_are_an_error(w4a4):
    with pytest.raises(KeyError):
        integer_network(w4a4.real, Ranges(3))


def test_a_bad_step_is_refused():
    layer = Layer(name="one", load=Load(channels=(1,), height=1, width=1, bits=8),
                  multiply=Multiply(op="linear", out_channels=1, bits=8), timesteps=2)
    real = RealLayer(
        bias=torch.zeros(1, 1, 1, dtype=torch.float64), scale=torch.ones(1, dtype=torch.float64),
        integers=torch.zeros(1, 1, 1, 1, dtype=torch.int16),
        steps=torch.ones(2, dtype=torch.float64))
    Quantisation(modules={"one": (layer, real)})
    for change, text in (
        ({"steps": torch.zeros(2, dtype=torch.float64)},
         r"steps: wanted a vector of positive numbers"),
        ({"integers": torch.full((1, 1, 1, 1), 120, dtype=torch.int16)}, r"weights: wanted"),
        ({"low": torch.zeros(2, dtype=torch.int64)},
         r"bounds: wanted low and high exactly for free ranges"),
    ):
        with pytest.raises(ValueError, match=text):
            Quantisation(modules={"one": (layer, replace(real, **change))})


def test_a_scale_that_no_multiplier_holds_names_the_layer(w4a4):
    first = w4a4.real.layers[0]
    tiny = replace(first, steps=first.steps * 1e-12)
    real = replace(w4a4.real, layers=(tiny, *w4a4.real.layers[1:]))
    ranges = find_ranges(w4a4.real, w4a4.latents, w4a4.classes)
    with pytest.raises(ValueError, match=r"conv_in: scale: wanted a factor in 0\.\."):
        integer_network(real, ranges)
