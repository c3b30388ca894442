"""The one rounding rule and the one narrowing rule of the golden model; nobody else rounds."""

import torch
from torch import Tensor

MAX_RHE_SHIFT = 62      # the largest for which twice the remainder stays inside int64


def _check_int64(name: str, values: Tensor) -> None:
    if values.dtype != torch.int64:
        raise TypeError(f"{name}: wanted an int64 tensor, got {values.dtype}")


def rhe(v: Tensor, shift: int | Tensor) -> Tensor:
    """v / 2**shift rounded to nearest, ties to even.

    Ties to even because the carrier is re-rounded at every layer: ties away from zero or towards
    +infinity would add a bias of the same sign each time (docs/numerics.md, section 2).

    Parameters
    ----------
    v: int64 tensor.
    shift: 0..62, an int or an int64 tensor that broadcasts against `v`.

    Raises
    ------
    TypeError: `v` or a tensor `shift` is not int64.
    ValueError: `shift` outside 0..62.
    """
    _check_int64("rhe", v)
    if isinstance(shift, int):
        return _rhe_by(v, shift)
    _check_int64("rhe shift", shift)
    low, high = (int(x) for x in shift.aminmax())
    _check_shift(low, high)
    if low == high:
        return _rhe_by(v, low).expand(torch.broadcast_shapes(v.shape, shift.shape))
    floor = v >> shift
    unit = torch.ones_like(shift) << shift
    twice = (v - (floor << shift)) << 1     # twice the remainder, against one unit
    odd = (floor & 1) == 1
    return floor + ((twice > unit) | ((twice == unit) & odd)).to(torch.int64)


def _check_shift(low: int, high: int) -> None:
    if low < 0 or high > MAX_RHE_SHIFT:
        raise ValueError(f"rhe shift: wanted 0..{MAX_RHE_SHIFT}, got {low if low < 0 else high}")


def _rhe_by(v: Tensor, shift: int) -> Tensor:
    """`rhe` by one shift for all: up if remainder + (floor is odd) is above one half."""
    _check_shift(shift, shift)
    if shift == 0:
        return v.clone()
    floor = v >> shift
    rest = (v & ((1 << shift) - 1)).add_(floor & 1)
    return floor.add_(rest > 1 << (shift - 1))


def saturate(v: Tensor, bits: int) -> Tensor:
    """Clamp int64 `v` to the signed range of `bits` bits, still int64."""
    _check_int64("saturate", v)
    return v.clamp(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def clamp(v: Tensor, low: int, high: int) -> Tensor:
    """Limit int64 `v` to low..high: the saturation of the quantiser."""
    _check_int64("clamp", v)
    return v.clamp(low, high)


def divide(a: Tensor, b: int | Tensor) -> Tensor:
    """a / b rounded to nearest, ties to even: `rhe` for a divisor that is no power of two.

    Parameters
    ----------
    a: int64 tensor, |a| <= 2**62.
    b: positive, at most 2**61, an int or an int64 tensor that broadcasts against `a`.

    Raises
    ------
    TypeError: `a` is not int64.
    ValueError: `b` not positive.
    """
    _check_int64("divide", a)
    divisor = torch.as_tensor(b, dtype=torch.int64, device=a.device)
    if int(divisor.min()) < 1:
        raise ValueError(f"divide: wanted a positive divisor, got {int(divisor.min())}")
    floor = torch.div(a, divisor, rounding_mode="floor")
    twice = (a - floor * divisor) * 2
    up = (twice > divisor) | ((twice == divisor) & ((floor & 1) == 1))
    return floor + up.to(torch.int64)
