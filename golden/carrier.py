"""The int16 carrier: what layers hand to each other."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hqdm.kit.check import check_dtype, check_int

MAX_EXPONENT = 31


@dataclass(frozen=True, eq=False)
class Carrier:
    """A tensor of activations: value = values * 2**-exponent.

    Parameters
    ----------
    values: int16, (C, H, W) or (B, C, H, W); linear layers use (C, rows, 1).
    exponent: -31..31.

    Raises
    ------
    TypeError: wrong dtype.
    ValueError: wrong number of dimensions, an empty dimension, exponent out of range.
    """

    values: Tensor
    exponent: int

    def __post_init__(self) -> None:
        check_dtype("carrier", self.values, torch.int16)
        if self.values.dim() not in (3, 4) or 0 in self.values.shape:
            raise ValueError(
                f"carrier: wanted shape (C, H, W) or (B, C, H, W) without empty dimensions, "
                f"got {tuple(self.values.shape)}")
        check_int("carrier exponent", self.exponent, -MAX_EXPONENT, MAX_EXPONENT)

    @property
    def batch(self) -> tuple[int, ...]:
        """() or (B,)."""
        return tuple(self.values.shape[:-3])

    def to_float(self) -> Tensor:
        """The real values, float64 (exact)."""
        return self.values.to(torch.float64) * 2.0 ** -self.exponent
