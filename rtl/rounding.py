"""Rounding and saturation: the only place in the RTL where bits are dropped.

rhe and saturation of a wide number by a variable shift, without a wide shifter: `narrow` moves a
window down, coarse steps first, and keeps of what it leaves out only two facts: whether anything
below was not zero, and whether anything above was not the sign. `settle` rounds and saturates
what is left. Everything is combinational; registers go in between as timing wants them.

    saturate(rhe(v, 8 * c + f), bits) =
        settle(m, narrow(m, narrow(m, window(v), 8, c, bits + 2), 1, f, bits + 1), bits)

for one-hot c and one bit f.

Mirrors `hqdm.golden.arithmetic.rounding`.
"""

from functools import reduce
from operator import or_
from typing import NamedTuple

from amaranth import *


class Window(NamedTuple):
    """Bits of a number from one half of its unit upwards, and what is known of the others.

    Members
    -------
    bits: bit 0 is worth one half. sign: of the number, also of the bits above `bits`.
    sticky: a bit below is not 0. over: a bit above is not the sign.
    """

    bits: Value
    sign: Value
    sticky: Value
    over: Value


def window(value, point: int = 0) -> Window:
    """All of the number value / 2**point; `value` is signed."""
    value = _signed(value)
    bits = value[point - 1:] if point else Cat(0, value)
    return Window(bits, value[-1], value[:max(point - 1, 0)].any(), C(0, 1))


def registered(m, x: Window, name: str) -> Window:
    """The window `x` a cycle later; the registers are not reset."""
    later = Window(*(Signal(len(value), name=f"{name}_{field}", reset_less=True)
                     for field, value in zip(x._fields, x, strict=True)))
    m.d.sync += [after.eq(before) for before, after in zip(x, later, strict=True)]
    return later


def one_hot(select, count: int) -> Value:
    """Bit k says that `select` is k."""
    return Cat(select == k for k in range(count))


def narrow(m, x: Window, step: int, select, width: int) -> Window:
    """`x` / 2**(step * k), of which `width` bits are kept.

    A number of 12 bits, step 4 and k = 1, of which 5 bits are kept:

        before     b b b b b b b b b b b b
        after              B B B B B            by 4 lower
        over       ^ ^ ^                        one of these is not the sign
        sticky                       ^ ^ ^ ^    one of these is not 0; with it those of before

    A bit above that is dropped too early, before it is known whether k brings it down, would be
    lost: hence `width` includes what `x` is shifted further.

    Parameters
    ----------
    m: module the intermediate signals are added to.
    x: Window. step: bits per unit of k.
    select: k itself if it is one bit, else its bit k is set and no other.
    width: of the result, at least the bits that are wanted of it and what it is shifted further.
    """
    hot = [~select, select] if len(select) == 1 else list(select)
    last = len(hot) - 1
    extended = Cat(x.bits, x.sign.replicate(width + step * last))
    choices = [extended[k * step:k * step + width] for k in range(last + 1)]
    bits = Signal(width, name="narrow_bits")
    if last == 1:       # of one-hot bits AND and OR are faster than a chain of multiplexers
        m.d.comb += bits.eq(Mux(select, choices[1], choices[0]))
    else:
        m.d.comb += bits.eq(_any(c & h.replicate(width) for c, h in zip(choices, hot, strict=True)))
    sticky, over = [x.sticky], [x.over]
    for k in range(last):
        beyond = _any(hot[k + 1:])
        above = x.bits[k * step + width:(k + 1) * step + width]
        sticky.append(x.bits[k * step:(k + 1) * step].any() & beyond)
        over.append((above ^ x.sign.replicate(len(above))).any() & ~beyond)
    above = x.bits[last * step + width:]
    over.append((above ^ x.sign.replicate(len(above))).any())
    return Window(bits, x.sign, _any(sticky), _any(over))


def _any(values) -> Value:
    return reduce(or_, values)


def settle(m, x: Window, bits: int) -> Value:
    """Rounded to the nearest integer, ties to even, and limited to `bits` bits: signed.

    Parameters
    ----------
    m: module the intermediate signals are added to.
    x: Window of `bits` + 1 bits.
    """
    whole, up = floor(x, bits)
    rounded = Signal(signed(bits + 1), name="settle_rounded")
    m.d.comb += rounded.eq(whole + up)
    return saturate(rounded, bits)


def floor(x: Window, bits: int) -> tuple[Value, Value]:
    """(whole, up): `whole` + `up` saturated to `bits` bits is the rounded and limited number.

    `whole` has one bit more; outside of the range of `bits` bits it has some value on the same
    side, which `up` does not change. It is below the rounded number, or equal.
    """
    # Ties to even: half and nothing below it goes up only if bit 1, the last of `whole`, is odd.
    over = x.over | (x.bits[bits] ^ x.sign)
    whole = Cat(x.bits[1:bits], x.sign ^ over, x.sign).as_signed()
    return whole, x.bits[0] & (x.sticky | x.bits[1]) & ~over


def saturate(value, bits: int) -> Value:
    """Signed `value` limited to the range of a signed number of `bits` bits."""
    value = _signed(value)
    if len(value) <= bits:
        return value
    top = value[bits - 1:]
    fits = top.all() | ~top.any()
    return Mux(fits, value[:bits], Cat((~value[-1]).replicate(bits - 1), value[-1])).as_signed()


def _signed(value) -> Value:
    """`value` as a Value; refuses what would be misread."""
    value = Value.cast(value)
    if not value.shape().signed:
        raise TypeError(f"rounding: wanted a signed value, got {value.shape()!r}")
    return value
