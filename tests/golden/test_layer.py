"""run_layer against plain loops over Python integers that share no code with golden."""

import random
from dataclasses import replace
from fractions import Fraction
from itertools import product

import pytest
import torch

from hqdm.golden import Carrier, run_layer
from hqdm.golden.random import random_factors, random_layer, random_parameters, random_sources
from hqdm.spec import PRESETS, Layer, Load, Multiply, Store

LAYERS = 40     # per seed


def clamp(v, low, high):
    return max(low, min(high, v))


def naive_rotate(line, order):
    """A list times the block Hadamard matrix, entry by entry."""
    block = 1 << order
    return [sum(line[start + j] * (-1) ** (i & j).bit_count() for j in range(block))
            for start in range(0, len(line), block) for i in range(block)]


def naive_rotate_plane(x, load):
    """x[c][y][x] rotated along the layer's axis."""
    if load.axis == "width":
        return [[naive_rotate(row, load.order) for row in plane] for plane in x]
    if load.axis == "none":
        return x
    out = [[[0] * len(x[0][0]) for _ in x[0]] for _ in x]
    for i, j in product(range(len(x[0])), range(len(x[0][0]))):
        for c, v in enumerate(naive_rotate([plane[i][j] for plane in x], load.order)):
            out[c][i][j] = v
    return out


def naive_load(layer, p, sources, t):
    """u[c][y][x] from the sources."""
    load, up = layer.load, layer.load.upsample
    planes = [plane for s in sources for plane in s.values.tolist()]
    x = [[[plane[i // up][j // up] for j in range(load.width * up)]
          for i in range(load.height * up)] for plane in planes]
    scale = Fraction(int(p.load_multiplier[t]), 1 << int(p.load_shift[t]))
    limit = {2: 1, 3: 3, 4: 7, 8: 119}[load.bits]
    low, high = (int(p.load_low[t]), int(p.load_high[t])) if load.ranged else (-limit, limit)
    q = [[[clamp(round(r * scale), low, high) for r in row] for row in plane]
         for plane in naive_rotate_plane(x, load)]
    return naive_rotate_plane(q, load)


def naive_sum(layer, weights, u, o, y, x):
    """acc of one output: every product in the image, zero outside."""
    m, total = layer.multiply, 0
    for c, plane in enumerate(u):
        for dy, dx in product(range(m.kernel), repeat=2):
            i, j = y * m.stride - m.padding + dy, x * m.stride - m.padding + dx
            if 0 <= i < len(plane) and 0 <= j < len(plane[0]):
                total += plane[i][j] * weights[o][c][dy][dx]
    return total


def naive_store(layer, p, acc, o, t, x2, factor):
    """One output carrier from one sum; `factor` is the pattern of the row's."""
    first = Fraction(int(p.multipliers[o]), 1 << p.channel_shift)
    then = Fraction(int(p.step_multiplier[t]), 1 << int(p.step_shift[t]))
    mid = clamp(round(acc * first), -(1 << 23), (1 << 23) - 1)
    if layer.store.stages.row_scale:
        mid = round(Fraction(mid * (factor & 0x7FF), 1 << (factor >> 11 & 31)))
        mid = clamp(mid, -(1 << 23), (1 << 23) - 1)
    y = clamp(round(mid * then), -32768, 32767)
    y = clamp(y + int(p.bias[t, o]), -32768, 32767)
    if layer.store.residual != "none":
        aligned = round(Fraction(x2) / Fraction(2) ** int(p.residual_shift[t]))
        aligned = clamp(aligned, -32768, 32767)
        y += aligned if layer.store.residual == "add" else -aligned
    return clamp(y, -32768, 32767)


def naive_layer(layer, p, sources, t, second, factors=None):
    u, weights = naive_load(layer, p, sources, t), p.weights.tolist()
    x2 = second.values.tolist() if second else None
    rows = None if factors is None else factors.tolist()
    return [[[naive_store(layer, p, naive_sum(layer, weights, u, o, y, x), o, t,
                          x2[o][y][x] if x2 else 0, rows[y][x] if rows else 0)
              for x in range(layer.out_width)] for y in range(layer.out_height)]
            for o in range(layer.multiply.out_channels)]


def draw(layer, seed, timestep=0):
    g = torch.Generator().manual_seed(seed)
    parameters = random_parameters(layer, g)
    return parameters, *random_sources(layer, parameters, timestep, g)


@pytest.mark.parametrize("seed", range(6))
def test_random_layers_agree_with_plain_loops(seed):
    rng = random.Random(seed)
    for i in range(LAYERS):
        layer = random_layer(rng, PRESETS["n8" if i % 4 == 0 else "n4"], max_macs=15_000)
        timestep = rng.randrange(layer.timesteps)
        parameters, sources, second = draw(layer, 1000 * seed + i, timestep)
        factors = random_factors(layer, torch.Generator().manual_seed(i))
        arguments = layer, parameters, sources, timestep, second, factors
        got = run_layer(*arguments)
        assert got.values.tolist() == naive_layer(*arguments), layer
        assert got.exponent == int(parameters.output_exponent[timestep])


CONV = Layer(
    name="conv", load=Load(channels=(32, 64), height=16, width=16, axis="width", order=4),
    multiply=Multiply(op="conv3x3", out_channels=40, padding=1), store=Store(residual="add"),
    timesteps=3)


def test_a_batch_is_its_images_one_by_one():
    parameters, first, x2 = draw(CONV, seed=1, timestep=2)
    rows, seconds = [first], [x2]
    for seed in (2, 3):
        sources, second = random_sources(CONV, parameters, 2, torch.Generator().manual_seed(seed))
        rows.append(sources)
        seconds.append(second)

    def stack(carriers):
        return Carrier(torch.stack([c.values for c in carriers]), carriers[0].exponent)

    batch = run_layer(CONV, parameters, [stack(c) for c in zip(*rows, strict=True)], 2,
                      stack(seconds))
    apart = [run_layer(CONV, parameters, s, 2, x) for s, x in zip(rows, seconds, strict=True)]
    assert torch.equal(batch.values, torch.stack([a.values for a in apart]))


@pytest.mark.parametrize("bits", [4, 8])
def test_the_result_does_not_depend_on_the_thread_count(bits):
    layer = replace(CONV, load=replace(CONV.load, bits=bits))
    parameters, sources, second = draw(layer, seed=bits)
    threads, outputs = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            outputs.append(run_layer(layer, parameters, sources, 0, second).values)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(outputs[0], outputs[1]) and torch.equal(outputs[0], outputs[2])


def test_autocast_does_not_change_a_bit():
    parameters, sources, second = draw(CONV, seed=4)
    wanted = run_layer(CONV, parameters, sources, 0, second).values
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(run_layer(CONV, parameters, sources, 0, second).values, wanted)


@pytest.mark.parametrize("timestep", [-1, 3])
def test_a_timestep_beyond_the_table_is_refused(timestep):
    parameters, sources, second = draw(CONV, seed=1)
    with pytest.raises(ValueError, match=rf"conv: timestep: wanted 0\.\.2, got {timestep}"):
        run_layer(CONV, parameters, sources, timestep, second)
    with pytest.raises(TypeError, match=r"conv: timestep: wanted an integer, got 1\.0"):
        run_layer(CONV, parameters, sources, 1.0, second)


def test_bad_parameters_and_operands_are_refused_before_any_work():
    parameters, sources, second = draw(CONV, seed=1)
    zero = replace(parameters, step_multiplier=torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"step_multiplier: wanted 1\.\.65535, got 0"):
        run_layer(CONV, zero, sources, 0, second)
    with pytest.raises(ValueError, match=r"wanted a second operand \(residual 'add'\), got none"):
        run_layer(CONV, parameters, sources, 0)
    with pytest.raises(ValueError, match=r"conv: wanted 2 source\(s\), got 1"):
        run_layer(CONV, parameters, sources[:1], 0, second)
    moved = Carrier(sources[0].values, sources[0].exponent - 1)
    with pytest.raises(ValueError, match="source 0: wanted exponent"):
        run_layer(CONV, parameters, [moved, sources[1]], 0, second)
