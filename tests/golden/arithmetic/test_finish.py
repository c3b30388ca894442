"""Finishing of statistics against exact and float64 references."""

import math
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F

from hqdm.golden.arithmetic.finish import (
    bit_length,
    group_affine,
    integer_root,
    inverse_root,
    mean_and_deviation,
    reciprocal,
    row_normalisation,
)
from hqdm.golden.arithmetic.statistics import gather
from hqdm.golden.load.affine import channel_affine, row_affine


def powers(limit):
    """Numbers around each power of two up to 2**limit, and random ones."""
    near = [max(0, (1 << i) + d) for i in range(limit) for d in (-1, 0, 1)]
    generator = torch.Generator().manual_seed(1)
    wide = torch.randint(0, 1 << 62, (500,), generator=generator)
    shift = torch.randint(62 - limit, 62, (500,), generator=generator)
    return torch.cat([torch.tensor(near), wide >> shift])


def test_bit_length_is_pythons():
    v = powers(61)
    assert bit_length(v).tolist() == [x.bit_length() for x in v.tolist()]


def test_integer_root_is_pythons():
    roots = torch.randint(0, 1 << 29, (500,), generator=torch.Generator().manual_seed(2))
    v = torch.cat([powers(59), roots * roots, (roots * roots - 1).clamp(min=0)])
    assert integer_root(v).tolist() == [math.isqrt(x) for x in v.tolist()]


def test_inverse_root_is_within_two_to_the_minus_22():
    v = powers(61).clamp(min=1)
    root, e = inverse_root(v)
    assert int(root.min()) >= 1 << 23 and int(root.max()) <= 1 << 24
    relative = root.double() * 2.0 ** (-39 - e.double()) * v.double().sqrt() - 1
    print(f"largest relative error 2^{math.log2(float(relative.abs().max())):.2f}")
    assert float(relative.abs().max()) < 2.0 ** -22


def test_inverse_root_rounds_twice_and_cuts_once():
    """Bit for bit, in Python's integers: the error alone would admit a cut in place of a rounding,
    and the bits of every normalised layer hang on it."""
    generator = torch.Generator().manual_seed(4)
    v = torch.cat([powers(61).clamp(min=1),
                   torch.randint(1 << 32, 1 << 61, (4000,), generator=generator)])
    for total, root, e in zip(v.tolist(), *(x.tolist() for x in inverse_root(v)), strict=True):
        assert e == (total.bit_length() - 31) // 2
        t = round(Fraction(total, 4 ** e) if e >= 0 else Fraction(total * 4 ** -e))
        assert root == math.isqrt(round(Fraction(1 << 62, t)) << 16)


def test_reciprocal_is_within_two_to_the_minus_11():
    v = torch.arange(1, 200_000)
    factor, length = reciprocal(v)
    assert int(factor.min()) == 1 << 10 and int(factor.max()) == (1 << 11) - 1
    relative = factor.double() * 2.0 ** (-10 - length.double()) * v.double() - 1
    assert 2.0 ** -11.1 < float(relative.abs().max()) <= 2.0 ** -11


def test_deviation_is_exact_about_the_rounded_mean():
    x = torch.randint(-32768, 32768, (3, 1000), generator=torch.Generator().manual_seed(3))
    mean, deviation = mean_and_deviation(x.sum(1), (x * x).sum(1), 1000)
    assert torch.equal(deviation, (16 * x - mean[:, None]).square().sum(1))
    assert float((mean.double() / 16 - x.double().mean(1)).abs().max()) <= 1 / 32


def group_case(exponents, spread, seed):
    """A GroupNorm of two sources: integers, their real values, gamma, beta."""
    generator = torch.Generator().manual_seed(seed)
    channels = (16, 8)
    parts = [(torch.randn(2, c, 6, 6, generator=generator, dtype=torch.float64) * spread
              + torch.randn(2, c, 1, 1, generator=generator, dtype=torch.float64)) * 2.0 ** f
             for c, f in zip(channels, exponents, strict=True)]
    stored = [p.round().clamp(-32768, 32767).to(torch.int64) for p in parts]
    gamma = torch.randn(24, generator=generator, dtype=torch.float64)
    beta = torch.randn(24, generator=generator, dtype=torch.float64)
    return stored, gamma, beta


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("exponents", "spread", "shift"), [
    ((11, 11), 1.0, 14), ((9, 12), 1.0, 11), ((12, 8), 1.0, 10), ((13, 6), 0.5, 7),
    ((10, 10), 0.01, 7)])
def test_group_norm_is_within_its_bound(exponents, spread, shift, seed):
    """Two sources, groups that cross their border, exponents up to 7 apart, against float64.

    Half a step, and what rounding A (half a unit for each step from the mean), the mean (1/32)
    and the sums of the aligned source can change.
    """
    stored, gamma, beta = group_case(exponents, spread, seed)
    real = torch.cat([s.double() * 2.0 ** -f for s, f in zip(stored, exponents, strict=True)], 1)
    epsilon, out, j, f = 1e-5, 11, 10, min(exponents)
    wanted = F.group_norm(real, 4, gamma, beta, epsilon) * 2.0 ** out
    drop = torch.tensor([exponents[0] - f] * 16 + [exponents[1] - f] * 8)
    sums = torch.cat([gather(s, ("channel",)).channel for s in stored], 2)
    gain = (gamma * math.sqrt(6 * 36) * 2.0 ** j).round().to(torch.int64)
    scale, offset = group_affine(
        sums[0], sums[1], 36, 4, drop, max(1, round(epsilon * 2.0 ** (2 * f + 8))), gain,
        j - 4 - shift - out, (beta * 2.0 ** (out + shift)).round().to(torch.int64))
    assert int(scale.abs().max()) < (1 << 17) - 1
    x = torch.cat(stored, 1)
    error = (channel_affine(x, scale, offset, shift) - wanted.clamp(-32768, 32767)).abs()
    mean = real.unflatten(1, (4, 6)).mean((2, 3, 4)).repeat_interleave(6, 1)[:, :, None, None]
    own = 2.0 ** (drop + f).double()[:, None, None]
    bound = (0.6 + (x - mean * own).abs() * 0.5 * 2.0 ** -shift
             + scale.abs()[..., None, None] * 2.0 ** (drop[:, None, None] - shift) / 16
             + (wanted - (beta * 2.0 ** out)[:, None, None]).abs()
             * (0.6 / gain.abs().clamp(min=1))[:, None, None])
    print(f"{exponents} {spread}: {float(error.max()):.2f} steps, at most {float(bound.max()):.2f}")
    assert float((error - bound).max()) <= 0


@pytest.mark.parametrize("spread", [0.01, 1.0, 20.0])
def test_layer_norm_is_within_its_bound(spread):
    generator = torch.Generator().manual_seed(4)
    f, channels, out = 9, 64, 12
    x = (torch.randn(2, channels, 5, 1, generator=generator, dtype=torch.float64) * spread
         * 2.0 ** f).round().clamp(-32768, 32767).to(torch.int64)
    real = x.double() * 2.0 ** -f
    wanted = F.layer_norm(real.movedim(1, -1), (channels,), eps=1e-5).movedim(-1, 1) * 2.0 ** out
    sums, squares = gather(x, ("row",)).row
    shift = {0.01: 7, 1.0: 12, 20.0: 16}[spread]
    scale, offset = row_normalisation(
        sums, squares, channels, round(1e-5 * 2.0 ** (2 * f + 8)), 1 << 16,
        13 - 4 - shift - out)   # sqrt(64) = 2**16 * 2**-13
    error = (row_affine(x, scale, offset, shift) - wanted).abs()
    assert int(scale.abs().max()) < (1 << 17) - 1
    mean = scale.abs().unsqueeze(1) * 2.0 ** -shift / 16     # the mean is rounded to 1/16
    assert float((error - wanted.abs() * 2.0 ** -10 - mean.view(2, 1, 5, 1)).max()) <= 0.6


def test_equal_values_give_beta():
    """No deviation: epsilon keeps the root finite, the value less its mean is near zero."""
    x = torch.full((1, 4, 3, 3), 1000)
    sums, squares = gather(x, ("channel",)).channel
    scale, offset = group_affine(
        sums, squares, 9, 2, torch.zeros(4, dtype=torch.int64), 1, torch.full((4,), 1 << 16),
        0, torch.full((4,), 500 << 10))
    y = channel_affine(x, scale, offset, 10)
    assert int((y - 500).abs().max()) <= 1
