"""Unnormalised Hadamard rotation along an axis, by butterflies."""

import torch
from torch import Tensor

from hqdm.golden.arithmetic.exact import exact_dtype


def rotate(x: Tensor, order: int, dim: int) -> Tensor:
    """x * H_raw along `dim`, in blocks of 2**order consecutive entries.

    H_raw is Sylvester's matrix in natural order, H[i, j] = (-1)**popcount(i & j). Exact: one
    more bit per order. Rotating twice multiplies by 2**order.

    Parameters
    ----------
    x: int64 tensor.
    order: log2 of the block, 0 for no rotation.
    dim: axis, whose length 2**order divides.

    Raises
    ------
    TypeError: `x` is not int64.
    ValueError: a negative order or one that does not divide the axis.
    """
    if x.dtype != torch.int64:
        raise TypeError(f"rotate: wanted an int64 tensor, got {x.dtype}")
    dim %= x.dim()
    length = x.shape[dim]
    if order < 0 or length % (1 << order):
        raise ValueError(f"rotate: wanted an axis of whole blocks of 2**order entries, got "
                         f"order {order} and length {length}")
    for stage in range(order):
        half = 1 << stage
        pairs = x.unflatten(dim, (length // (2 * half), 2, half))  # (.., L) -> (.., L/2h, 2, h)
        a, b = pairs.unbind(dim + 1)
        x = torch.stack((a + b, a - b), dim + 1).flatten(dim, dim + 2)
    return x


def rotate_bounded(x: Tensor, order: int, dim: int, bound: int) -> Tensor:
    """`rotate` for |x| <= `bound`, by one matrix product: equal bits, several times faster.

    Entries of H are +-1, so every partial sum is an integer of at most bound * 2**order, which
    the float type chosen holds exactly in any order of adding.
    """
    if order == 0:
        return x
    dtype = exact_dtype(bound << order)
    matrix = rotate(torch.eye(1 << order, dtype=torch.int64, device=x.device), order, 0).to(dtype)
    blocks = x.to(dtype).movedim(dim, -1).unflatten(-1, (-1, 1 << order))
    with torch.autocast(x.device.type, enabled=False):
        y = torch.matmul(blocks, matrix)
    return y.to(torch.int64).flatten(-2).movedim(-1, dim)
