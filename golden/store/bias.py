"""The bias of the timestep."""

import torch
from torch import Tensor

from hqdm.golden.arithmetic.rounding import saturate
from hqdm.spec.fixed import CARRIER_BITS


def add_bias(y: Tensor, bias: Tensor) -> Tensor:
    """sat16(y + bias[o]): y int64 (..., O, H, W), bias int16 [O], or [B, O] by class."""
    return saturate(y + bias.to(y.device, torch.int64)[..., None, None], CARRIER_BITS)
