from dataclasses import replace

import pytest
import torch

from hqdm.golden.random import random_parameters
from hqdm.spec import Layer, Load, Multiply

LAYER = Layer(
    name="p", load=Load(channels=(3, 2), height=4, width=4),
    multiply=Multiply(op="conv3x3", out_channels=6, padding=1, bits=3), timesteps=5)


def parameters():
    return random_parameters(LAYER, torch.Generator().manual_seed(1))


def changed(name, index, value):
    """The parameters with one entry of table `name` replaced."""
    table = getattr(parameters(), name).clone()
    table[index] = value
    return replace(parameters(), **{name: table})


def test_random_parameters_are_valid():
    parameters().check(LAYER)


@pytest.mark.parametrize(("name", "value", "text"), [
    ("load_multiplier", 0, r"load_multiplier: wanted 1\.\.65535, got 0"),
    ("load_multiplier", 65536, r"load_multiplier: wanted 1\.\.65535, got 65536"),
    ("load_shift", 0, r"load_shift: wanted 1\.\.47, got 0"),
    ("load_low", -8, r"load_low: wanted -7\.\.-7, got -8"),
    ("load_low", 0, r"load_low: wanted -7\.\.-7, got 0"),
    ("load_high", 6, r"load_high: wanted 7\.\.7, got 6"),
    ("load_shift", 48, r"load_shift: wanted 1\.\.47, got 48"),
    ("step_multiplier", 0, r"step_multiplier: wanted 1\.\.65535, got 0"),
    ("step_shift", -1, r"step_shift: wanted 0\.\.47, got -1"),
    ("step_shift", 48, r"step_shift: wanted 0\.\.47, got 48"),
    ("multipliers", 0, r"multipliers: wanted 1\.\.65535, got 0"),
    ("multipliers", 65536, r"multipliers: wanted 1\.\.65535, got 65536"),
    ("residual_shift", 16, r"residual_shift: wanted -15\.\.15, got 16"),
    ("residual_shift", -16, r"residual_shift: wanted -15\.\.15, got -16"),
    ("source_exponent", 32, r"source_exponent: wanted -31\.\.31, got 32"),
    ("output_exponent", -32, r"output_exponent: wanted -31\.\.31, got -32"),
    ("weights", 4, r"weights of 3 bits: wanted -4\.\.3, got 4"),
    ("weights", -5, r"weights of 3 bits: wanted -4\.\.3, got -5"),
])
def test_a_value_out_of_range_is_refused(name, value, text):
    with pytest.raises(ValueError, match=text):
        changed(name, -1, value).check(LAYER)


@pytest.mark.parametrize(("low", "high", "text"), [
    (0, 16, r"load_high: wanted 0\.\.15, got 16"), (-16, 0, r"load_low: wanted -15\.\.0, got -16"),
    (1, 7, r"load_low: wanted -15\.\.0, got 1"), (-7, -1, r"load_high: wanted 0\.\.15, got -1"),
    (-8, 8, r"load_high - load_low: wanted 0\.\.15, got 16")])
def test_free_bounds_are_checked(low, high, text):
    free = replace(LAYER, load=replace(LAYER.load, ranged=True))
    good = random_parameters(free, torch.Generator().manual_seed(1))
    good.check(free)
    bounds = {"load_low": good.load_low.clone(), "load_high": good.load_high.clone()}
    bounds["load_low"][2], bounds["load_high"][2] = low, high
    with pytest.raises(ValueError, match=text):
        replace(good, **bounds).check(free)


@pytest.mark.parametrize("shift", [-1, 48])
def test_the_channel_shift_is_checked(shift):
    with pytest.raises(ValueError, match=rf"channel_shift: wanted 0\.\.47, got {shift}"):
        replace(parameters(), channel_shift=shift).check(LAYER)
    with pytest.raises(TypeError, match=r"channel_shift: wanted an integer, got 1\.0"):
        replace(parameters(), channel_shift=1.0).check(LAYER)


@pytest.mark.parametrize(("name", "wanted"), [
    ("weights", "int16"), ("bias", "int16"), ("multipliers", "int64"), ("load_multiplier", "int64"),
    ("load_shift", "int64"), ("load_low", "int64"), ("load_high", "int64"),
    ("step_multiplier", "int64"), ("step_shift", "int64"),
    ("residual_shift", "int64"), ("source_exponent", "int64"), ("output_exponent", "int64"),
])
def test_dtype_and_shape_of_every_tensor_are_checked(name, wanted):
    table = getattr(parameters(), name)
    with pytest.raises(TypeError, match=f"{name}: wanted an {wanted} tensor, got float64"):
        replace(parameters(), **{name: table.double()}).check(LAYER)
    with pytest.raises(TypeError, match=f"{name}: wanted an {wanted} tensor, got list"):
        replace(parameters(), **{name: table.tolist()}).check(LAYER)
    with pytest.raises(ValueError, match=rf"{name}: wanted shape .*, got \(\d"):
        replace(parameters(), **{name: table[1:]}).check(LAYER)
