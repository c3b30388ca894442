"""Quantisation by the per-timestep scale registers, and the choice of the nibble."""

from itertools import pairwise

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.load.beat import Beat
from rtl.rounding import clamp, rhe, saturate
from spec.fixed import MULTIPLIER_BITS, NIBBLE, QUANTISED_BITS, SHIFT_BITS

WIDE_BITS = 8       # of q before it is split


class Quantiser(wiring.Component):
    """q = clamp(rhe(r * multiplier, shift), -low, high), whole or a signed 4-bit nibble of it.

    With `split`, nibble 0 is ((q + 8) & 15) - 8 and nibble 1 is (q - nibble 0) / 16; without, the
    only nibble is q itself, at most 15 in magnitude: 5 bits.
    Latency 3 advances (product, rounding, clamp), one beat per advance, no back-pressure.

    Parameters
    ----------
    lanes: numbers per beat.
    input_bits: width of a rotated carrier, signed.

    Members
    -------
    multiplier, shift: m[t] and s[t] of the step, static while beats are in the pipeline.
    low, high: bounds, at most 15, with `split` 119. split: q takes two passes.
    advance: clock enable of the whole pipeline.
    i, o: beats; `i.nibble` selects the nibble.
    """

    latency = 3

    def __init__(self, lanes, input_bits):
        self._lanes, self._input_bits = lanes, input_bits
        super().__init__({
            "multiplier": In(MULTIPLIER_BITS), "shift": In(SHIFT_BITS),
            "low": In(WIDE_BITS - 1), "high": In(WIDE_BITS - 1), "split": In(1),
            "advance": In(1),
            "i": In(Beat(lanes, input_bits)), "o": Out(Beat(lanes, QUANTISED_BITS)),
        })

    @property
    def lanes(self):
        return self._lanes

    def elaborate(self, platform):
        m = Module()
        tags = [Signal(2, name=f"tag{k}") for k in range(self.latency - 1)]
        tags = [Cat(self.i.valid, self.i.nibble), *tags, Cat(self.o.valid, self.o.nibble)]
        with m.If(self.advance):
            m.d.sync += [after.eq(before) for before, after in pairwise(tags)]
        for lane in range(self._lanes):
            self._lane(m, lane, upper=tags[-2][1])
        return m

    def _lane(self, m, lane, upper):
        product = Signal(signed(self._input_bits + MULTIPLIER_BITS), name=f"product{lane}")
        narrow = Signal(signed(WIDE_BITS), name=f"narrow{lane}")
        q = Signal(signed(WIDE_BITS), name=f"q{lane}")
        only = Signal(signed(QUANTISED_BITS), name=f"only{lane}")   # the low nibble, or all of q
        sign = Mux(self.split, q[NIBBLE - 1], q[NIBBLE])
        m.d.comb += [q.eq(clamp(narrow, self.low, self.high)), only.eq(Cat(q[:NIBBLE], sign))]
        rounded = rhe(m, product, self.shift)
        with m.If(self.advance):
            m.d.sync += [
                product.eq(self.i.data[lane] * self.multiplier),
                narrow.eq(saturate(rounded, WIDE_BITS)),
                self.o.data[lane].eq(Mux(upper, (q >> NIBBLE) + q[NIBBLE - 1], only)),
            ]
