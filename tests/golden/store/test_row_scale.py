"""The row scale: packed factors, their error, the rounding, the plain layer that takes them."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from hqdm.golden.layer import run_layer
from hqdm.golden.random import random_factors, random_parameters, random_sources
from hqdm.golden.store.row_scale import row_factors, row_scale, unpack_factors
from hqdm.spec import Layer, Load, Multiply, Store, StoreStages

LAYER = Layer(name="mix", load=Load(channels=(24,), height=7, width=1, bits=8),
              multiply=Multiply(op="linear", out_channels=5, bits=8),
              store=Store(stages=StoreStages(row_scale=True)))


def pack(mantissa, shift):
    return (torch.as_tensor(mantissa) | torch.as_tensor(shift) << 11).to(torch.int16)


def operands(seed=0):
    generator = torch.Generator().manual_seed(seed)
    parameters = random_parameters(LAYER, generator)
    sources, _ = random_sources(LAYER, parameters, 0, generator)
    return parameters, sources, random_factors(LAYER, generator)


@pytest.mark.parametrize("guard", [0, 3, 7])
def test_factors_are_the_reciprocal_within_two_to_the_minus_11(guard):
    totals = torch.cat([torch.arange(1 << guard, 70_000), torch.tensor([119 << 16, 1 << 31])])
    mantissa, shift = unpack_factors(row_factors(totals, guard))
    assert int(mantissa.min()) == 1 << 10 and int(mantissa.max()) == (1 << 11) - 1
    assert int(shift.min()) == 0 and int(shift.max()) == 31 - guard
    product = mantissa.double() * 2.0 ** (-10.0 - guard - shift) * totals
    assert float((product - 1).abs().max()) <= 2.0 ** -11


def test_factors_are_packed_into_16_bits():
    assert row_factors(torch.tensor([1, 2, 3, 119, 1 << 31]), 0).tolist() == [
        1024, 1024 | 1 << 11, 1365 | 2 << 11, 1101 | 7 << 11, (1024 | 31 << 11) - (1 << 16)]


def test_totals_beyond_the_shift_are_refused():
    with pytest.raises(ValueError, match=r"row factor shift: wanted 0\.\.31, got 32"):
        row_factors(torch.tensor([1 << 32]), 0)
    with pytest.raises(ValueError, match=r"row factor shift: wanted 0\.\.31, got -1"):
        row_factors(torch.tensor([2, 1 << 12]), 2)


@pytest.mark.parametrize("shift", range(32))
def test_rounding_is_half_to_even_and_saturates(shift):
    generator = torch.Generator().manual_seed(shift)
    mid = torch.randint(-(1 << 23), 1 << 23, (60, 3), generator=generator)
    mid[:30] >>= torch.randint(0, 20, (30, 3), generator=generator)
    mid[:4] = torch.tensor([-(1 << 23), (1 << 23) - 1, 3 << shift >> 11])
    mantissa = torch.tensor([1024, 1537, 2047])
    got = row_scale(mid, pack(mantissa, shift))
    for row, wanted in zip(got.tolist(), mid.tolist(), strict=True):
        assert row == [
            max(-(1 << 23), min((1 << 23) - 1, round(Fraction(v * m, 1 << shift))))
            for v, m in zip(wanted, mantissa.tolist(), strict=True)]


@pytest.mark.parametrize("guard", [0, 2])
def test_row_scale_divides_by_the_total(guard):
    generator = torch.Generator().manual_seed(guard)
    totals = torch.randint(119, 60_000, (2, 2, 1, 7, 1), generator=generator)
    mid = torch.randint(-(119 << 7), 119 << 7, (2, 2, 5, 7, 1), generator=generator)
    got = row_scale(mid, row_factors(totals, guard))
    wanted = mid.double() / totals.double() * 2.0 ** (10 + guard)
    assert float((got - wanted).abs().sub(wanted.abs() * 2.0 ** -11).max()) <= 0.5


@pytest.mark.parametrize("keys", [1, 64, 592, 4096, 37_900])
def test_a_weighted_mean_of_119_never_saturates(keys):
    """The largest sums: probabilities and values all 119, or one probability of 119."""
    guard = max(0, (119 * 119 * keys).bit_length() - 23)
    for total in (119 * keys, 119):
        mid = torch.tensor([(119 * total) >> guard])
        scaled = int(row_scale(mid, row_factors(torch.tensor([total]), guard)))
        assert abs(scaled / (119 << 10) - 1) <= 2.0 ** -9
        assert scaled < 1 << 17


def test_the_plain_layer_scales_its_rows():
    """Factor 1024 * 2**-10 is 1: the bits of the layer without; half of it halves mid."""
    parameters, sources, factors = operands()
    plain = replace(LAYER, store=Store())
    wanted = run_layer(plain, parameters, sources, 0)
    one = torch.full((7, 1), int(pack(1024, 10)), dtype=torch.int16)
    assert torch.equal(run_layer(LAYER, parameters, sources, 0, None, one).values, wanted.values)
    other = run_layer(LAYER, parameters, sources, 0, None, factors)
    assert not torch.equal(other.values, wanted.values)
    for row in range(7):
        alone = torch.full((7, 1), int(factors[row]), dtype=torch.int16)
        y = run_layer(LAYER, parameters, sources, 0, None, alone)
        assert torch.equal(y.values[:, row], other.values[:, row])


def test_batches_have_factors_of_their_own():
    parameters, sources, factors = operands(1)
    one = torch.full((7, 1), int(pack(1024, 10)), dtype=torch.int16)
    batch = [type(s)(torch.stack([s.values, s.values]), s.exponent) for s in sources]
    both = run_layer(LAYER, parameters, batch, 0, None, torch.stack([factors, one]))
    for image, own in zip(both.values, (factors, one), strict=True):
        assert torch.equal(image, run_layer(LAYER, parameters, sources, 0, None, own).values)


def test_bad_factors_are_refused():
    parameters, sources, factors = operands()
    for wanted, layer, bad in (
        (r"mix: wanted row factors \(row scale True\), got none", LAYER, None),
        (r"mix: wanted no row factors \(row scale False\), got some",
         replace(LAYER, store=Store()), factors),
        (r"mix: row factors: wanted shape \(7, 1\), got \(6, 1\)", LAYER, factors[1:]),
        (r"mix: row factor mantissa: wanted 1024\.\.2047, got 1023", LAYER,
         torch.full_like(factors, 1023)),
    ):
        with pytest.raises(ValueError, match=wanted):
            run_layer(layer, parameters, sources, 0, None, bad)
    with pytest.raises(TypeError, match="mix: row factors: wanted an int16 tensor, got int64"):
        run_layer(LAYER, parameters, sources, 0, None, factors.long())


def test_residual_and_row_scale_exclude_each_other():
    with pytest.raises(ValueError, match="residual: wanted 'none' beside a row scale, got 'add'"):
        Store(residual="add", stages=StoreStages(row_scale=True))
