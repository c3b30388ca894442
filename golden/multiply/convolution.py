"""Exact integer convolution on floating-point matrix multipliers."""

import torch
import torch.nn.functional as F
from torch import Tensor

from hqdm.golden.arithmetic.exact import exact_dtype
from hqdm.golden.parameters import Parameters
from hqdm.spec import Layer
from hqdm.spec.fixed import operand_magnitude


def convolve(u: Tensor, weights: Tensor, stride: int, padding: int, dtype: torch.dtype) -> Tensor:
    """Sum over taps of one matrix product each, in `dtype`; exact under `EXACT_BOUND[dtype]`.

    Matrix products rather than conv2d: convolution libraries may pick Winograd or FFT, whose
    intermediate values are not integers.

    Parameters
    ----------
    u: int64 (B, I, H, W).
    weights: integers [O, I, R, R].

    Returns
    -------
    int64 (B, O, H', W').
    """
    kernel = weights.shape[-1]
    x = F.pad(u.to(dtype), (padding,) * 4)
    w = weights.to(device=u.device, dtype=dtype)
    height, width = ((x.shape[d] - kernel) // stride + 1 for d in (-2, -1))
    acc = torch.zeros(u.shape[0], weights.shape[0], height * width, dtype=dtype, device=u.device)
    with torch.autocast(u.device.type, enabled=False):
        for dy in range(kernel):
            rows = x[:, :, dy:dy + stride * (height - 1) + 1:stride]
            for dx in range(kernel):
                tap = rows[..., dx:dx + stride * (width - 1) + 1:stride]
                acc += torch.matmul(w[:, :, dy, dx], tap.flatten(2))
    return acc.to(torch.int64).unflatten(-1, (height, width))


def sum_bound(layer: Layer, weights: Tensor) -> int:
    """Bound on every partial sum, in any order: |q| * 2**order * max over o of sum |w[o]|."""
    rows = weights.flatten(1).abs().sum(1, dtype=torch.int64)
    load = layer.load
    return operand_magnitude(load.bits, load.order, load.ranged) * int(rows.max())


def partial_sums(layer: Layer, parameters: Parameters, operands: Tensor) -> Tensor:
    """acc[o, y, x] = sum of u * w over channels and taps: int64 holding exact int32 values.

    Parameters
    ----------
    operands: int64 (C, H, W) or (B, C, H, W), as `hqdm.golden.load.load_operands` gives them.

    Returns
    -------
    int64 (O, H', W') or (B, O, H', W').
    """
    batched = operands if operands.dim() == 4 else operands.unsqueeze(0)
    dtype = exact_dtype(sum_bound(layer, parameters.weights))
    acc = convolve(batched, parameters.weights, layer.multiply.stride, layer.multiply.padding,
                   dtype)
    return acc if operands.dim() == 4 else acc.squeeze(0)
