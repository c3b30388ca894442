"""Every number of a layer's stages at both ends of its range, and one step beyond."""

from dataclasses import replace

import pytest
import torch

from hqdm.golden.random import random_parameters
from hqdm.golden.stages import Affine, LayerParameters, Normalisation
from hqdm.spec import Layer, Load, LoadStages, Multiply

T, C = 2, 4
CHANNELS = {"gain": (-(1 << 17), (1 << 17) - 1), "offset": (-(1 << 39), (1 << 39) - 1),
            "scale": (-(1 << 17), (1 << 17) - 1)}
SCALARS = {"gain_shift": (-62, 62), "epsilon": (1, 1 << 58), "shift": (0, 23)}


def table(value, *shape):
    return torch.full(shape, value, dtype=torch.int64)


def normalisation():
    return Normalisation(gain=table(1, T, C), gain_shift=table(0, T), offset=table(0, T, C),
                         epsilon=table(1, T), shift=table(0, T))


def affine():
    return Affine(scale=table(1, T, C), offset=table(0, T, C), shift=table(0, T))


@pytest.mark.parametrize(("make", "name"), [
    *((normalisation, n) for n in ("gain", "offset", "gain_shift", "epsilon", "shift")),
    *((affine, n) for n in ("scale", "offset", "shift"))])
def test_the_range_of_an_affine(make, name):
    low, high = (CHANNELS | SCALARS)[name]
    shape = (T, C) if name in CHANNELS else (T,)
    for value in (low, high):
        replace(make(), **{name: table(value, *shape)}).check("layer", T, C)
    for value in (low - 1, high + 1):
        with pytest.raises(ValueError, match=rf"layer: {name}: wanted {low}\.\.{high}, got"):
            replace(make(), **{name: table(value, *shape)}).check("layer", T, C)


def layer_of(product="none"):
    mix = product == "mix"
    return Layer(name="layer", timesteps=T,
                 load=Load(channels=(C,), height=3, width=1, bits=8, stages=LoadStages()),
                 multiply=Multiply(op="linear", out_channels=C, bits=8,
                                   product="mix" if mix else "none"))


def parameters_of(layer):
    base = random_parameters(layer, torch.Generator().manual_seed(0))
    if layer.multiply.product != "none":
        base = replace(base, weights=torch.empty(0, dtype=torch.int16))
    ones = table(1, T)
    return LayerParameters(
        base=base, source_exponents=base.source_exponent[:, None], bias=base.bias[:, None],
        row=None, group=None, affine=None, weight_multiplier=ones, weight_shift=ones,
        gate_shift=table(0, T), guard=0)


@pytest.mark.parametrize(("product", "name", "low", "high"), [
    ("none", "gate_shift", 0, 31), ("none", "weight_multiplier", 0, 65535),
    ("none", "weight_shift", 0, 47), ("none", "guard", 0, 7),
    ("mix", "weight_multiplier", 1, 65535), ("mix", "weight_shift", 1, 47)])
def test_the_range_of_a_layers_own_numbers(product, name, low, high):
    layer = layer_of(product)
    right = parameters_of(layer)

    def check(value):
        replace(right, **{name: value if name == "guard" else table(value, T)}).check(layer)
    for value in (low, high):
        check(value)
    for value in (low - 1, high + 1):
        with pytest.raises(ValueError, match=rf"{name}: wanted .*{low}\.\.{high}, got {value}"):
            check(value)
