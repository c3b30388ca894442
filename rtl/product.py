"""Products wider than a hardware multiplier, as two of 18 x 18 bits and an adder."""

from typing import Any

from amaranth import *

LOW_BITS = 18       # of the wide factor, unsigned: the ports of an unsigned multiplier
LATENCY = 2         # partial products, sum


def product(m, a, b, name: str) -> Value:
    """a * b, registered twice, without reset. One product per cycle.

    The first registers are those of the multipliers where these have some. The upper product is a
    signed one, so its second factor has to be narrower by a bit.

    Parameters
    ----------
    m: module the registers are added to.
    a: signed, 19..36 bits, from a register. b: unsigned, at most 17 bits, from a register.
    """
    width = len(a) + len(b)

    def register(shape: Any, suffix: str) -> Signal:
        return Signal(shape, name=f"{name}_{suffix}", reset_less=True)

    low, lower = register(LOW_BITS + len(b), "low"), register(LOW_BITS, "lower")
    high, upper = (register(signed(width - LOW_BITS), suffix) for suffix in ("high", "upper"))
    m.d.sync += [
        low.eq(a[:LOW_BITS] * b),
        high.eq(a[LOW_BITS:].as_signed() * b),
        lower.eq(low[:LOW_BITS]),
        upper.eq(high + low[LOW_BITS:]),
    ]
    return Cat(lower, upper).as_signed()
