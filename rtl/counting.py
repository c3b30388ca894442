"""Counters that go up and down with one carry chain."""

from amaranth import *


def change(up, down, bits: int) -> Value:
    """+1, 0 or -1 in two's complement of `bits` bits: add it to a counter."""
    return Cat(up ^ down, (down & ~up).replicate(bits - 1))
