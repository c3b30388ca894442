"""Seeded random layers, parameters and activations for every comparison of two models.

Ranges are realistic: quantised values use all levels with some saturation, outputs use the whole
int16 range with a little saturation; a few entries sit at the extremes of their format.
"""

import math
import random

import torch
from torch import Tensor

from hqdm.golden.carrier import Carrier
from hqdm.golden.parameters import MAX_MULTIPLIER, Parameters
from hqdm.spec import Config, Layer, Load, Multiply, Store
from hqdm.spec.fixed import (
    BITS,
    CARRIER,
    MAX_ORDER,
    MAX_SHIFT,
    NIBBLE,
    RESIDUAL_SHIFT,
    required_operand_bits,
    weight_range,
)
from hqdm.spec.layer import Axis, Op, Residual, trailing_zeros
from hqdm.spec.stages import RECIPROCAL_BITS, ROW_MANTISSA_BITS, ROW_SHIFT_BITS, StoreStages

QUANTISED_STD = 0.45    # of Q: 3 % of the values saturate
MID_STD = 1 << 19       # of the 24-bit value between the multipliers
OUTPUT_STD = 11000      # of the int16 output
EXTREME = 0.01          # fraction of entries at the ends of the format


def _uniform(low: int, high: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randint(low, high + 1, shape, generator=generator)


def _one(low: int, high: int, generator: torch.Generator) -> int:
    return int(_uniform(low, high, (1,), generator))


def _normal(std: float, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """int16: rounded normal values, some replaced by the extremes."""
    x = torch.randn(shape, generator=generator, dtype=torch.float64) * std
    x = x.round().clamp(CARRIER.low, CARRIER.high)
    extremes = torch.rand(shape, generator=generator) < EXTREME
    ends = torch.where(x < 0, CARRIER.low, CARRIER.high)
    return torch.where(extremes, ends, x).to(torch.int16)


def _shift_for(ratio: float, low: int) -> int:
    """Shift whose 2**-shift is nearest to 1 / ratio, kept in low..47."""
    return max(low, min(MAX_SHIFT, round(math.log2(ratio))))


def _multiplier_table(size: int, generator: torch.Generator) -> Tensor:
    """Mantissas in 2**15..2**16-1; one table in eight has any mantissas from 1 up."""
    low = 1 if _one(0, 7, generator) == 0 else 1 << 15
    return _uniform(low, MAX_MULTIPLIER, (size,), generator)


def _quantised_std(layer: Layer) -> float:
    return max(0.7, QUANTISED_STD * layer.load.quant_max)


def _rotation_gain(layer: Layer) -> float:
    """Growth of the standard deviation by one rotation."""
    return 2.0 ** (layer.load.order / 2)


def random_parameters(layer: Layer, generator: torch.Generator) -> Parameters:
    """Valid parameters whose outputs spread over int16 for inputs of `random_sources`."""
    t, out, kernel = layer.timesteps, layer.multiply.out_channels, layer.multiply.kernel
    low, high = weight_range(layer.multiply.bits)
    weight_std = math.sqrt((low * low + high * high) / 6)
    acc_std = (_quantised_std(layer) * _rotation_gain(layer) * weight_std
               * math.sqrt(layer.depth))
    multipliers = _multiplier_table(out, generator)
    mean = float(multipliers.double().mean())
    channel_shift = _shift_for(acc_std * mean / MID_STD, 0)
    mid_std = acc_std * mean / 2.0 ** channel_shift
    load_multiplier = _multiplier_table(t, generator)
    step_multiplier = _multiplier_table(t, generator)
    bounds = _bounds(layer, generator)
    residual_shift = torch.zeros(t, dtype=torch.int64)
    if layer.store.residual != "none":
        wide = RESIDUAL_SHIFT if _one(0, 3, generator) == 0 else 3
        residual_shift = _uniform(-wide, wide, (t,), generator)
    return Parameters(
        weights=_uniform(low, high, (out, layer.load.total_channels, kernel, kernel),
                         generator).to(torch.int16),
        load_multiplier=load_multiplier,
        load_shift=_load_shifts(layer, load_multiplier, generator),
        load_low=bounds[0], load_high=bounds[1],
        multipliers=multipliers,
        channel_shift=channel_shift,
        step_multiplier=step_multiplier,
        step_shift=torch.tensor([_shift_for(mid_std * m / OUTPUT_STD, 0)
                                 for m in step_multiplier.tolist()]),
        bias=_normal(2000, (t, out), generator),
        residual_shift=residual_shift,
        source_exponent=_uniform(4, 14, (t,), generator),
        output_exponent=_uniform(4, 14, (t,), generator),
    )


def _bounds(layer: Layer, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(low, high) of the quantiser: int64 [T]; free ones use all levels, one time in four fewer.

    One time in four all levels are on one side of zero, as after an activation function.
    """
    t, most = layer.timesteps, layer.load.magnitude
    if not layer.load.ranged:
        return torch.full((t,), -most), torch.full((t,), most)
    levels = torch.where(_uniform(0, 3, (t,), generator) == 0,
                         _uniform(0, most, (t,), generator), most)
    below = (torch.rand(t, generator=generator) * (levels + 1)).long()
    side = _uniform(0, 7, (t,), generator)
    below = torch.where(side == 0, 0, torch.where(side == 1, levels, below))
    return -below, levels - below


def _load_shifts(layer: Layer, multiplier: Tensor, generator: torch.Generator) -> Tensor:
    """s[t] for which sources of standard deviation 2**6..2**13 fill the quantiser."""
    gain = _rotation_gain(layer) / _quantised_std(layer)
    std = 2.0 ** (6 + 7 * torch.rand(multiplier.shape, generator=generator, dtype=torch.float64))
    return torch.tensor([_shift_for(m * s * gain, 1)
                         for m, s in zip(multiplier.tolist(), std.tolist(), strict=True)])


def _source_std(layer: Layer, parameters: Parameters, timestep: int) -> float:
    """Standard deviation that fills the quantiser at `timestep`."""
    scale = float(parameters.load_multiplier[timestep]) / 2.0 ** int(
        parameters.load_shift[timestep])
    std = _quantised_std(layer) / (scale * _rotation_gain(layer))
    return min(16000.0, max(1.0, std))


def random_sources(layer: Layer, parameters: Parameters, timestep: int,
                   generator: torch.Generator) -> tuple[list[Carrier], Carrier | None]:
    """The sources and, if the layer has a residual, the second operand; unbatched.

    One time in four a row of a source is all -32768, the largest a rotation can meet.
    """
    std = _source_std(layer, parameters, timestep)
    sources = []
    for channels in layer.load.channels:
        values = _normal(std, (channels, layer.load.height, layer.load.width), generator)
        if _one(0, 3, generator) == 0:
            values[:, _one(0, layer.load.height - 1, generator)] = CARRIER.low
        sources.append(Carrier(values, int(parameters.source_exponent[timestep])))
    if layer.store.residual == "none":
        return sources, None
    shift = int(parameters.residual_shift[timestep])
    shape = (layer.multiply.out_channels, layer.out_height, layer.out_width)
    second = _normal(min(12000.0, max(1.0, 4000 * 2.0 ** shift)), shape, generator)
    return sources, Carrier(second, int(parameters.output_exponent[timestep]) + shift)


def random_factors(layer: Layer, generator: torch.Generator) -> Tensor | None:
    """Row factors near 1 if the layer has a row scale: int16 (H', W'), any shift now and then."""
    if not layer.store.stages.row_scale:
        return None
    shape = (layer.out_height, layer.out_width)
    mantissa = _uniform(1 << RECIPROCAL_BITS, (1 << ROW_MANTISSA_BITS) - 1, shape, generator)
    shift = _uniform(RECIPROCAL_BITS - 1, RECIPROCAL_BITS + 2, shape, generator)
    anything = _uniform(0, (1 << ROW_SHIFT_BITS) - 1, shape, generator)
    shift = torch.where(torch.rand(shape, generator=generator) < 0.2, anything, shift)
    return (mantissa | shift << ROW_MANTISSA_BITS).to(torch.int16)


def random_layer(rng: random.Random, config: Config, max_macs: int = 300_000) -> Layer:
    """A valid layer over every option, at most `max_macs` multiply-accumulates.

    Channels run from 1 to about 3n (sometimes 6n, and whole blocks for high orders), sizes from
    1x1 to about 20 wide (64 for a rotation of order 6 along the width). What goes its own way in
    the hardware comes in at least one layer of a hundred: `tests/golden/test_random.py`.
    """
    while True:
        try:
            layer = _draw_layer(rng, config)
        except ValueError:      # an order or a kernel that the drawn size does not admit
            continue
        if layer.macs <= max_macs:
            return layer


def _blocks(rng: random.Random, order: int, limit: int) -> int:
    """A positive multiple of 2**order, at most `limit` if one is."""
    return rng.randint(1, max(1, limit >> order)) << order


def _draw_store(rng: random.Random) -> Store:
    """Any residual, or none; without one half of the layers have a row scale."""
    residual: Residual = rng.choice(("none", "add", "subtract"))
    scaled = residual == "none" and rng.random() < 0.5
    return Store(residual=residual, stages=StoreStages(row_scale=scaled))


def _draw_layer(rng: random.Random, config: Config) -> Layer:
    op: Op = rng.choice(("linear", "conv1x1", "conv3x3", "conv3x3"))
    upsample = 1 if op == "linear" else rng.choice((1, 1, 2))
    axes: tuple[Axis, ...] = ("none", "channel") if op == "linear" else (
        "none", "channel", "width")
    axis = rng.choice(axes)
    order = rng.randint(0, MAX_ORDER) if axis != "none" else 0
    # words beyond the fourth are requested in other ways along the width, and are few otherwise
    widest = 6 * config.n if rng.random() < (0.6 if axis == "width" else 0.1) else 3 * config.n
    channels = tuple(
        _blocks(rng, order if axis == "channel" else 0, widest)
        for _ in range(rng.choice((1, 1, 2))))
    width, bits = 1, rng.choice(BITS)
    folded = trailing_zeros(upsample) if axis == "width" and order else 0
    ranged = (bits <= NIBBLE and rng.random() < 0.5
              and required_operand_bits(bits, order - folded, True) <= config.operand_bits)
    if op != "linear":
        source_order = order - trailing_zeros(upsample) if axis == "width" else 0
        width = _blocks(rng, max(0, source_order), 20)
    stride = 1 if op == "linear" else rng.choice((1, 1, 2))
    tallest = 40 if op == "linear" else 4 if sum(channels) > 4 * config.n else 14
    return Layer(
        name="random",
        load=Load(channels=channels, height=rng.randint(1, tallest),
                  width=width, upsample=upsample, axis=axis, order=order,
                  bits=bits, ranged=ranged),
        multiply=Multiply(op=op, out_channels=rng.randint(1, rng.choice((config.n, widest))),
                          stride=stride,
                          padding=rng.choice((0, 1, 2 - stride)) if op == "conv3x3" else 0,
                          bits=rng.choice(BITS)),
        store=_draw_store(rng),
        timesteps=rng.randint(1, 20),
    )
