"""Real factors as integer mantissas and shifts, largest magnitudes as exponents."""

import math

import torch
from torch import Tensor

from hqdm.golden.parameters import MAX_MULTIPLIER
from hqdm.spec.fixed import CARRIER, MAX_SHIFT
from hqdm.spec.stages import AFFINE_BITS

HEADROOM = 1.5          # largest magnitude seen in calibration, times this, still fits
MIN_EXPONENT, MAX_EXPONENT = -4, 20


def exponent(largest: float, headroom: float = HEADROOM, most: int = MAX_EXPONENT) -> int:
    """The largest exponent f <= most at which `largest` * headroom fits int16."""
    if largest <= 0:
        return most
    return max(MIN_EXPONENT, min(most, math.floor(math.log2(CARRIER.high / largest / headroom))))


def scale(factor: float, least: int = 0) -> tuple[int, int]:
    """(m, s) with m * 2**-s nearest to `factor`: m in 1..65535, s in least..47.

    m has all 16 bits wherever s allows, which makes the relative error at most 2**-16.

    Raises
    ------
    ValueError: a factor that is not positive, or above 65535 * 2**-least.
    """
    if not factor > 0 or round(factor * 2.0 ** least) > MAX_MULTIPLIER:
        raise ValueError(f"scale: wanted a factor in 0..{MAX_MULTIPLIER * 2.0 ** -least}, got "
                         f"{factor}")
    shift = max(least, min(MAX_SHIFT, 15 - math.floor(math.log2(factor))))
    mantissa = round(factor * 2.0 ** shift)
    if mantissa > MAX_MULTIPLIER:
        mantissa, shift = (mantissa + 1) >> 1, shift - 1
        if shift < least:
            mantissa, shift = MAX_MULTIPLIER, least
    return max(1, mantissa), shift


def scales(factors: Tensor, least: int = 0) -> tuple[Tensor, Tensor]:
    """`scale` of each entry: two int64 tensors."""
    pairs = [scale(float(f), least) for f in factors]
    return torch.tensor([p[0] for p in pairs]), torch.tensor([p[1] for p in pairs])


def mantissas(values: Tensor) -> tuple[Tensor, int]:
    """(G, j) with G * 2**-j nearest to `values` and G filling 18 signed bits."""
    top = float(values.abs().max())
    if top == 0:
        return torch.zeros(values.shape, dtype=torch.int64), 0
    limit = (1 << (AFFINE_BITS - 1)) - 1
    shift = math.floor(math.log2(limit / top))
    return (values * 2.0 ** shift).round().to(torch.int64), shift


def whole(values: Tensor, low: int, high: int) -> Tensor:
    """Nearest integers, ties to even, clamped: int64."""
    return values.to(torch.float64).round().clamp(low, high).to(torch.int64)


def exp2(exponents: Tensor) -> Tensor:
    """2**exponents, float64 and exact, for int64 exponents."""
    return torch.ldexp(torch.ones(exponents.shape, dtype=torch.float64), exponents)
