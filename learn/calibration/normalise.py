"""Constants of the affines at load: GroupNorm, LayerNorm, alignment."""

import math

import torch
from torch import Tensor

from hqdm.golden.arithmetic.finish import MEAN_FRACTION
from hqdm.golden.stages import OFFSET, Affine, Normalisation
from hqdm.learn.calibration.approximate import exp2, mantissas, whole
from hqdm.learn.calibration.real import RealLayer
from hqdm.spec import Layer
from hqdm.spec.stages import AFFINE_BITS, MAX_AFFINE_SHIFT

MARGIN = 2      # bits of a mantissa left for statistics beyond the calibration's


def _shift_for(largest: float, spare: int) -> int:
    """Shift at which a factor up to `largest` leaves `spare` bits of the mantissa, 0..23."""
    if largest <= 0:
        return MAX_AFFINE_SHIFT
    shift = math.floor(math.log2((1 << (AFFINE_BITS - 1 - spare)) / largest))
    return max(0, min(MAX_AFFINE_SHIFT, shift))


def _epsilon(epsilon: float, exponents: Tensor) -> Tensor:
    """eps in units of a squared carrier step / 256, at least 1: int64 [T]."""
    values = [max(1, round(epsilon * 2.0 ** (2 * int(f) + 2 * MEAN_FRACTION))) for f in exponents]
    return torch.tensor(values)


def row_exponent(channels: int) -> int:
    """Exponent of a normalised row: |x| <= sqrt(channels - 1) fits int16 whatever the row."""
    return 15 - math.ceil(math.log2(math.sqrt(channels)))


def row_normalisation(layer: Layer, real: RealLayer, sources: Tensor, gains: Tensor,
                      ) -> Normalisation:
    """LayerNorm without gamma and beta; `gains` [T] is the largest 1 / deviation seen."""
    channels, f = layer.load.total_channels, sources[:, 0]
    out = row_exponent(channels)
    gain, j = mantissas(torch.tensor([math.sqrt(channels)], dtype=torch.float64))
    shifts = torch.tensor([_shift_for(float(g) * 2.0 ** (out - int(e)), MARGIN)
                           for g, e in zip(gains, f, strict=True)])
    return Normalisation(
        gain=gain.expand(layer.timesteps, 1), gain_shift=j - MEAN_FRACTION - shifts - out,
        offset=torch.zeros(layer.timesteps, 1, dtype=torch.int64),
        epsilon=_epsilon(real.epsilon, f), shift=shifts)


def group_normalisation(layer: Layer, real: RealLayer, sources: Tensor, prepared: Tensor,
                        gains: Tensor) -> Normalisation:
    """GroupNorm; `gains` [T, C] is the largest |gamma| / deviation seen."""
    table, load = layer.load.stages.table, layer.load
    count = load.total_channels // load.stages.groups * load.height * load.width
    assert real.gamma is not None and real.beta is not None
    own = sources.repeat_interleave(torch.tensor(load.channels), 1)     # [T, C]
    gain, gain_shift, offset, shift = [], [], [], []
    for t in range(layer.timesteps):
        out = int(prepared[t]) if table is None else table.in_exponent
        factors = gains[t] * exp2(out - own[t])
        shift.append(_shift_for(float(factors.max()), MARGIN))
        g, j = mantissas(real.gamma[t] * math.sqrt(count))
        gain.append(g)
        gain_shift.append(j - MEAN_FRACTION - shift[t] - out)
        offset.append(whole(real.beta[t] * 2.0 ** (out + shift[t]), OFFSET.low, OFFSET.high))
    return Normalisation(
        gain=torch.stack(gain), gain_shift=torch.tensor(gain_shift), offset=torch.stack(offset),
        epsilon=_epsilon(real.epsilon, sources.amin(1)), shift=torch.tensor(shift))


def static_affine(layer: Layer, real: RealLayer, sources: Tensor, prepared: Tensor,
                  after: Tensor) -> Affine:
    """gamma and beta after a LayerNorm, or the alignment of two sources to `prepared`."""
    load, channels = layer.load, layer.load.total_channels
    before = sources.repeat_interleave(torch.tensor(load.channels), 1)  # [T, C]
    if load.stages.row == "layer_norm":
        before = torch.full_like(before, row_exponent(channels))
    gamma = torch.ones_like(before, dtype=torch.float64) if real.gamma is None else real.gamma
    beta = torch.zeros_like(gamma) if real.beta is None else real.beta
    scale, offset, shift = [], [], []
    for t in range(layer.timesteps):
        factors = gamma[t] * exp2(after[t] - before[t])
        s = _shift_for(float(factors.abs().max()), 1)
        limit = (1 << (AFFINE_BITS - 1)) - 1
        scale.append(whole(factors * 2.0 ** s, -limit, limit))
        offset.append(whole(beta[t] * 2.0 ** (int(after[t]) + s), OFFSET.low, OFFSET.high))
        shift.append(s)
    return Affine(scale=torch.stack(scale), offset=torch.stack(offset), shift=torch.tensor(shift))
