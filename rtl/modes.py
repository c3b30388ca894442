"""The modes of a layer, in words: what the bits of its descriptor say.

The legal values of a mode are few, so one bit tells one of them from the others: of `kernel`, which
is 1 or 3, bit 1. A comparison with 3 would cost two bits of logic at every place. That is sound
because the fetch unit lets no layer start whose modes have other values.
"""


def kernel_is_3(layer):
    """A convolution of 3 x 3, not of 1 x 1 (`kernel` 3, not 1)."""
    return layer.kernel[1]


def stride_is_1(layer):
    """`stride` 1, not 2."""
    return layer.stride[0]


def stride_is_2(layer):
    """`stride` 2, not 1."""
    return layer.stride[1]


def two_act_nibbles(layer):
    """An activation has two nibbles, so it takes two passes (`act_nibbles` 2, not 1)."""
    return layer.act_nibbles[1]


def two_weight_nibbles(layer):
    """A weight has two nibbles, so it takes two passes (`weight_nibbles` 2, not 1)."""
    return layer.weight_nibbles[1]


def has_residual(residual):
    """The second operand is added or subtracted (1 or 2, not 0)."""
    return residual != 0


def subtracts(residual):
    """The second operand is subtracted (2, not 0 or 1)."""
    return residual[1]


def has_second(layer):
    """There is a second operand: a residual's, or row factors."""
    return has_residual(layer.residual) | layer.row_scale
