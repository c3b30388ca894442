"""Rounding and saturation: the only place in the RTL where bits are dropped.

Every function is combinational and mirrors `golden.rounding`.
"""

from amaranth import *

from spec.fixed import MAX_SHIFT


def rhe(m, value, shift):
    """value / 2**shift to the nearest integer, ties to even: signed, as wide as `value`.

    Exact for every shift 0..47: the floor is at least one bit narrower than `value` as soon as
    something is dropped, so the increment cannot overflow.

    Parameters
    ----------
    m: module the intermediate signals are added to.
    value: signed, at most 62 bits (so that nothing here is wider than 64).
    shift: int 0..47, or an unsigned value that stays in this range.
    """
    value, width = _signed_width(value, 62)
    if isinstance(shift, int):
        if not 0 <= shift <= MAX_SHIFT:
            raise ValueError(f"rhe: wanted a shift in 0..{MAX_SHIFT}, got {shift}")
        shift = Const(shift, range(MAX_SHIFT + 1))
    doubled = Signal(signed(width + 1), name="rhe_doubled")     # bit 0 becomes the half
    shifted = Signal(signed(width + 1), name="rhe_shifted")
    sticky = Signal(name="rhe_sticky")
    rounded = Signal(signed(width), name="rhe_rounded")
    below = Signal(width + 1, name="rhe_below")                 # the bits that are dropped
    m.d.comb += [
        below.eq((Const(1, 1) << shift)[:width + 1] - 1),
        doubled.eq(value << 1),
        shifted.eq(doubled >> shift),
        sticky.eq((doubled & below).any()),
        rounded.eq((shifted >> 1) + (shifted[0] & (sticky | shifted[1]))),
    ]
    return rounded


def saturate(value, bits):
    """Signed `value` limited to the range of a signed number of `bits` bits."""
    value, width = _signed_width(value, 64)
    if width <= bits:
        return value
    top = value[bits - 1:]
    fits = top.all() | ~top.any()
    return Mux(fits, value[:bits], Cat((~value[-1]).replicate(bits - 1), value[-1])).as_signed()


def clamp(value, below, above):
    """Signed `value` limited to -below..above; both are unsigned and set the width."""
    value, below, above = (Value.cast(v) for v in (value, below, above))
    width, low = max(len(below), len(above)) + 1, -below
    return Mux(value > above, above, Mux(value < low, low, value))[:width].as_signed()


def _signed_width(value, limit):
    """`value` as a Value, and its width; refuses what would be misread or slow."""
    value = Value.cast(value)
    if not value.shape().signed:
        raise TypeError(f"rounding: wanted a signed value, got {value.shape()!r}")
    if len(value) > limit:
        raise ValueError(f"rounding: wanted at most {limit} bits, got {len(value)}")
    return value, len(value)
