"""Argument checks that say what was wanted and what came."""

import torch
from torch import Tensor


def check_tensor(name: str, value: object, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    """TypeError unless `value` is a tensor of `dtype`; ValueError unless it has `shape`."""
    check_dtype(name, value, dtype)
    assert isinstance(value, Tensor)
    if tuple(value.shape) != shape:
        raise ValueError(f"{name}: wanted shape {shape}, got {tuple(value.shape)}")


def check_dtype(name: str, value: object, dtype: torch.dtype) -> None:
    """TypeError unless `value` is a tensor of `dtype`."""
    wanted = str(dtype).removeprefix("torch.")
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: wanted an {wanted} tensor, got {type(value).__name__}")
    if value.dtype != dtype:
        raise TypeError(
            f"{name}: wanted an {wanted} tensor, got {str(value.dtype).removeprefix('torch.')}")


def check_range(name: str, value: Tensor, low: int, high: int) -> None:
    """ValueError unless every entry is in low..high; names the first extreme that is not."""
    least, most = (int(v) for v in value.aminmax())
    if least < low or most > high:
        raise ValueError(f"{name}: wanted {low}..{high}, got {least if least < low else most}")


def check_int(name: str, value: object, low: int, high: int) -> None:
    """TypeError unless `value` is an int, ValueError unless it is in low..high."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name}: wanted an integer, got {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{name}: wanted {low}..{high}, got {value}")
