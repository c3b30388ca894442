"""Multiply: operands and integer weights to exact int32 partial sums.

One stage, `convolution.partial_sums`: stride, zero padding (after rotating back) and kernel taps
are addresses; a linear layer is a 1x1 convolution over (C, rows, 1). Activation x activation
products (QK^T, PV) come with a later issue and use the same sum with operands for weights.
"""

from golden.multiply.convolution import convolve, exact_dtype, partial_sums

__all__ = ["convolve", "exact_dtype", "partial_sums"]
