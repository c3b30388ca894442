"""Argument checks that say what was wanted and what came."""

from collections.abc import Mapping

import torch
from torch import Tensor

Table = Mapping[str, tuple[torch.dtype, tuple[int | None, ...]]]


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


def check_tensors(where: str, tensors: Mapping[str, Tensor], table: Table) -> None:
    """ValueError unless a file has the tensors of `table` and no others, each of its dtype and
    shape, None for any length, and finite."""
    if set(tensors) != set(table):
        raise ValueError(f"{where}: wanted tensors {', '.join(sorted(table))}, got "
                         f"{', '.join(map(ascii, sorted(tensors)))[:200] or 'none'}")
    for name, (dtype, shape) in table.items():
        value = tensors[name]
        got, wanted = tuple(value.shape), tuple(
            length if length is not None or at >= value.dim() else value.shape[at]
            for at, length in enumerate(shape))
        if value.dtype != dtype or got != wanted:
            raise ValueError(f"{where}: {name}: wanted {dtype} of shape {shape}, got "
                             f"{value.dtype} of shape {got}")
        if dtype.is_floating_point and not bool(value.isfinite().all()):
            raise ValueError(f"{where}: {name}: wanted finite numbers, got NaN or infinity")
