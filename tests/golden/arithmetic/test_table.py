"""Piecewise-linear tables: measured error, joins, recorded integers."""

import hashlib

import pytest
import torch

from hqdm.golden.arithmetic.table import entries, interpolate, lookup, real_function
from hqdm.spec.fixed import CARRIER
from hqdm.spec.stages import Table

EVERY = torch.arange(CARRIER.low, CARRIER.high + 1)


def table(function, in_exponent, out_exponent):
    return Table(function=function, in_exponent=in_exponent, out_exponent=out_exponent)


def errors(t, x=EVERY):
    """|table - function| in output steps."""
    real = real_function(t.function)(x.double() * 2.0 ** -t.in_exponent) * 2.0 ** t.out_exponent
    return (lookup(t, x) - real.clamp(CARRIER.low, CARRIER.high)).abs()


@pytest.mark.parametrize(("function", "exponent", "bound"), [
    ("silu", 10, 1.2), ("silu", 11, 1.0), ("silu", 12, 0.8), ("silu", 13, 0.8),
    ("gelu", 10, 1.5), ("gelu", 11, 1.1), ("gelu", 12, 0.9), ("gelu", 13, 0.8),
    ("identity", 11, 0.0),
])
def test_error_is_about_one_step_everywhere(function, exponent, bound):
    worst = float(errors(table(function, exponent, exponent)).max())
    print(f"{function} at 2^-{exponent}: {worst:.3f} steps")
    assert worst <= bound


def test_exp_is_within_five_steps_of_two_to_the_fourteen():
    """The chord of exp over 1/16 is at most 1 / 16^2 / 8 = 8 steps too high; half of it is left."""
    t = table("exp", 11, 14)
    worst = float(errors(t, EVERY[EVERY <= 0]).max())
    print(f"exp: {worst:.3f} steps of 2^-14")
    assert worst <= 5
    assert abs(int(lookup(t, torch.tensor([0]))) - (1 << 14)) <= 5
    assert int(lookup(t, torch.tensor([CARRIER.low]))) == 0


@pytest.mark.parametrize("function", ["silu", "gelu", "exp"])
def test_lookup_is_the_interpolation(function):
    t = table(function, 11, 11)
    assert torch.equal(lookup(t, EVERY), interpolate(t, EVERY))


def test_segments_meet_within_two_steps():
    base = entries(table("silu", 11, 11)).base
    t = table("silu", 11, 11)
    edges = torch.arange(1, len(base)) * 128 + CARRIER.low
    steps = interpolate(t, edges) - interpolate(t, edges - 1)
    assert int(steps.abs().max()) <= 2


def test_the_integers_are_the_recorded_ones():
    """The entries come from real functions once; they must be the same on every machine."""
    digest = hashlib.sha256()
    for t in (table("silu", 11, 11), table("silu", 13, 13), table("gelu", 11, 11),
              table("exp", 11, 14)):
        for values in (entries(t).base, entries(t).slope):
            digest.update(repr(values.tolist()).encode())
    assert digest.hexdigest()[:16] == "8a3502338a061154"
