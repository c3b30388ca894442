"""Multiply: operands and integer weights to exact int32 partial sums.

One stage, `convolution.partial_sums`: stride, zero padding (after rotating back) and kernel taps
are addresses; a linear layer is a 1x1 convolution over (C, rows, 1). In activation x activation
products (QK^T, PV; `product.product_sums`) a second quantised tensor takes the weights' place.
"""

from hqdm.golden.multiply.convolution import convolve, exact_dtype, partial_sums

__all__ = ["convolve", "exact_dtype", "partial_sums"]
