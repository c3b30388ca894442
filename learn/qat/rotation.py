"""The single Hadamard around the activation quantiser, in floating point.

`rotate` is hqdm.golden.load.hadamard.rotate on floats: the unnormalised H, whose two applications
multiply by 2**order. The factor 2**-order belongs to the layer's scale, so between the two
rotations the values are those the load unit quantises.
"""

from functools import cache

import torch
from torch import Tensor

from hqdm.spec.fixed import MAX_ORDER


@cache
def hadamard(order: int, device: torch.device | str = "cpu") -> Tensor:
    """Sylvester's matrix of 2**order points in natural order, float32, entries +-1."""
    if not 0 <= order <= MAX_ORDER:
        raise ValueError(f"hadamard order: wanted 0..{MAX_ORDER}, got {order}")
    with torch.inference_mode(False):       # the cached matrix serves training too
        h = torch.ones(1, 1, device=device)
        for _ in range(order):
            h = torch.cat((torch.cat((h, h), 1), torch.cat((h, -h), 1)), 0)
    return h


def rotate(x: Tensor, order: int, dim: int) -> Tensor:
    """x * H_raw along `dim`, in blocks of 2**order consecutive entries; float32.

    Exact for integers below 2**24 in magnitude after rotation.

    Raises
    ------
    ValueError: an order that does not divide the axis.
    """
    if order == 0:
        return x
    dim, size = dim % x.dim(), 1 << order
    if x.shape[dim] % size:
        raise ValueError(f"rotate: wanted an axis of whole blocks of {size}, "
                         f"got length {x.shape[dim]}")
    h = hadamard(order, x.device)
    with torch.autocast(x.device.type, enabled=False):
        if dim == x.dim() - 1:      # (.., L) -> (.., L/2^k, 2^k) @ H
            return (x.float().unflatten(dim, (-1, size)) @ h).flatten(dim)
        # (B, C, rest) -> (B, C/2^k, 2^k, rest); H is symmetric
        blocks = x.float().flatten(dim + 1).unflatten(dim, (-1, size))
        return (h @ blocks).flatten(dim, dim + 1).view(x.shape)
