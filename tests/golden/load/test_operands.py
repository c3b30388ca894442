from dataclasses import replace

import pytest
import torch

from hqdm.golden import Carrier
from hqdm.golden.load import load_nibbles, load_operands, load_quantised, rotate
from hqdm.golden.random import random_parameters, random_sources
from hqdm.spec import Layer, Load, Multiply
from hqdm.spec.fixed import required_operand_bits


def layer(**load):
    return Layer(name="l", load=Load(**({"height": 3, "width": 32} | load)),
                 multiply=Multiply(op="conv1x1", out_channels=1), timesteps=3)


def draw(layer, seed):
    g = torch.Generator().manual_seed(seed)
    parameters = random_parameters(layer, g)
    return parameters, random_sources(layer, parameters, 1, g)[0]


@pytest.mark.parametrize("order", range(1, 7))
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_upsampled_width_rotation_is_the_source_row_one_order_lower(order, bits):
    upsampled = layer(channels=(5,), upsample=2, axis="width", order=order, bits=bits)
    source = layer(channels=(5,), axis="width" if order > 1 else "none", order=order - 1,
                   bits=bits)
    parameters, sources = draw(upsampled, seed=10 * order + bits)
    lower = replace(parameters, load_shift=parameters.load_shift - 1)
    u = load_operands(upsampled, parameters, sources, 1)
    wanted = load_operands(source, lower, sources, 1)
    assert torch.equal(u, wanted.repeat_interleave(2, -1).repeat_interleave(2, -2))
    assert u.abs().max() > 0


@pytest.mark.parametrize("order", range(5))
def test_concatenated_sources_rotate_on_their_own(order):
    both = layer(channels=(16, 48), axis="channel", order=order)
    parameters, sources = draw(both, seed=order)
    u = load_operands(both, parameters, sources, 1)
    apart = [load_operands(layer(channels=(c,), axis="channel", order=order), parameters, [s], 1)
             for c, s in zip((16, 48), sources, strict=True)]
    assert torch.equal(u, torch.cat(apart))


@pytest.mark.parametrize("axis", ["channel", "width"])
@pytest.mark.parametrize("order", [0, 3, 5])
@pytest.mark.parametrize("bits", [4, 8])
def test_nibbles_fit_their_width_and_add_up(axis, order, bits):
    one = layer(channels=(32,), axis=axis, order=order, bits=bits)
    parameters, sources = draw(one, seed=order)
    parts = load_nibbles(one, parameters, sources, 1)
    assert len(parts) == (2 if bits == 8 else 1)
    half = 1 << (required_operand_bits(bits, order) - 1)
    assert all(-half <= int(p.min()) and int(p.max()) < half for p in parts)
    u = load_operands(one, parameters, sources, 1)
    assert torch.equal(u, sum(p * 16 ** i for i, p in enumerate(parts)))
    q = load_quantised(one, parameters, sources, 1)
    assert torch.equal(u, rotate(q, order, -3 if axis == "channel" else -1))


def test_each_timestep_has_its_own_scale():
    one = layer(channels=(4,))
    parameters, sources = draw(one, seed=1)
    shift = parameters.load_shift[1].repeat(3)
    multiplier = torch.tensor([1 << 14, 1 << 15, 1 << 14])
    exponent = parameters.source_exponent[1].repeat(3)
    steps = replace(parameters, load_shift=shift, load_multiplier=multiplier,
                    source_exponent=exponent)
    q = [load_quantised(one, steps, sources, t) for t in range(3)]
    assert torch.equal(q[0], q[2]) and not torch.equal(q[0], q[1])


def test_each_timestep_has_its_own_bounds():
    one = layer(channels=(4,), ranged=True)
    parameters, sources = draw(one, seed=1)
    same = {name: getattr(parameters, name)[1].repeat(3)
            for name in ("load_shift", "load_multiplier", "source_exponent")}
    steps = replace(parameters, **same, load_low=torch.tensor([0, -4, -15]),
                    load_high=torch.tensor([15, 11, 0]))
    steps.check(one)
    q = [load_quantised(one, steps, sources, t) for t in range(3)]
    assert [(int(x.min()), int(x.max())) for x in q] == [(0, 15), (-4, 11), (-15, 0)]
    assert torch.equal(q[0] + q[2], q[0].where(q[0] > 0, q[2]))


def test_wrong_sources_are_refused():
    one = layer(channels=(4, 2))
    parameters, sources = draw(one, seed=1)
    f = int(parameters.source_exponent[1])
    small = Carrier(torch.zeros(4, 3, 31, dtype=torch.int16), f)
    batched = Carrier(torch.zeros(2, 4, 3, 32, dtype=torch.int16), f)
    off = Carrier(sources[1].values, f + 1)
    for wrong, text in (
        (sources[:1], r"l: wanted 2 source\(s\), got 1"),
        ([], r"l: wanted 2 source\(s\), got 0"),
        ([small, sources[1]], r"source 0: wanted shape \(4, 3, 32\), got \(4, 3, 31\)"),
        ([batched, sources[1]], r"source 1: wanted shape \(2, 2, 3, 32\), got \(2, 3, 32\)"),
        ([sources[0], off], rf"source 1: wanted exponent {f} at timestep 1, got {f + 1}"),
    ):
        with pytest.raises(ValueError, match=text):
            load_operands(one, parameters, wrong, 1)
