"""Statistics of what a store writes: they read the int16 and change nothing."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hqdm.spec.stages import Statistic


@dataclass(frozen=True, eq=False)
class Statistics:
    """Exact int64 statistics of a stored tensor; None for what was not gathered.

    Members
    -------
    channel: sums and sums of squares over the pixels, (2, B, C).
    row: sums and sums of squares over the channels, (2, B, H, W).
    maximum: largest value of each row and head, (B, heads, H, W).
    """

    channel: Tensor | None = None
    row: Tensor | None = None
    maximum: Tensor | None = None


def gather(values: Tensor, wanted: tuple[Statistic, ...], heads: int = 1) -> Statistics:
    """Statistics of `values`, int64 (B, C, H, W) within int16."""
    parts: dict[str, Tensor] = {}
    if {"channel", "row"} & set(wanted):
        squares = values * values
        if "channel" in wanted:
            parts["channel"] = torch.stack((values.sum((-2, -1)), squares.sum((-2, -1))))
        if "row" in wanted:
            parts["row"] = torch.stack((values.sum(-3), squares.sum(-3)))
    if "maximum" in wanted:
        parts["maximum"] = values.unflatten(1, (heads, -1)).amax(2)
    return Statistics(**parts)
