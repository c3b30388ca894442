"""Integer weights at 2, 3, 4 or 8 bits each, without gaps."""

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

from hqdm.kit.check import check_dtype
from hqdm.spec.fixed import check_bits


def pack(values: Tensor, bits: int) -> Tensor:
    """int8 of any shape to uint8 (ceil(n * bits / 8),): two's complement, lowest bit first."""
    check_bits(bits, "packing")
    flat = values.cpu().flatten().numpy()
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    if flat.size and not low <= flat.min() <= flat.max() <= high:
        raise ValueError(f"packing: wanted {low}..{high} at {bits} bits, got {flat.min()}.."
                         f"{flat.max()}")
    spread = (flat.view(np.uint8)[:, None] >> np.arange(bits, dtype=np.uint8)) & 1
    return torch.from_numpy(np.packbits(spread, bitorder="little"))


def unpack(packed: Tensor, bits: int, shape: Sequence[int]) -> Tensor:
    """The int8 tensor of `shape` that `pack` was given; TypeError for another dtype, ValueError
    if the size does not fit."""
    count = prod(shape)
    check_dtype("unpacking", packed, torch.uint8)
    if packed.numel() != -(-count * bits // 8):
        raise ValueError(f"unpacking: wanted {-(-count * bits // 8)} bytes for {count} values of "
                         f"{bits} bits, got {packed.numel()}")
    spread = np.unpackbits(packed.numpy(), bitorder="little", count=count * bits)
    unsigned = sum((spread[k::bits] << k for k in range(bits)), np.zeros(count, np.uint8))
    signed = (unsigned << (8 - bits)).view(np.int8) >> (8 - bits)
    return torch.from_numpy(signed).view(*shape)
