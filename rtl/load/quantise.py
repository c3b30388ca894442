"""Quantisation by the per-timestep scale registers, and the choice of the nibble."""

from itertools import pairwise

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.load.beat import Beat
from rtl.rounding import clamp, rhe, saturate
from spec.fixed import MULTIPLIER_BITS, NIBBLE, SHIFT_BITS

QUANTISED_BITS = 8


class Quantiser(wiring.Component):
    """q = clamp(rhe(r * multiplier, shift), -limit, limit), then a signed 4-bit nibble of q.

    Nibble 0 is ((q + 8) & 15) - 8 (q itself while |q| <= 7), nibble 1 is (q - nibble 0) / 16.
    Latency 3 advances (product, rounding, clamp), one beat per advance, no back-pressure.

    Parameters
    ----------
    lanes: numbers per beat.
    input_bits: width of a rotated carrier, signed.

    Members
    -------
    multiplier, shift: m[t] and s[t] of the step, static while beats are in the pipeline.
    limit: Q, at most 119.
    advance: clock enable of the whole pipeline.
    i, o: beats; `i.nibble` selects the nibble.
    """

    latency = 3

    def __init__(self, lanes, input_bits):
        self._lanes, self._input_bits = lanes, input_bits
        super().__init__({
            "multiplier": In(MULTIPLIER_BITS), "shift": In(SHIFT_BITS),
            "limit": In(QUANTISED_BITS - 1), "advance": In(1),
            "i": In(Beat(lanes, input_bits)), "o": Out(Beat(lanes, NIBBLE)),
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
            self._lane(m, lane, high=tags[-2][1])
        return m

    def _lane(self, m, lane, high):
        product = Signal(signed(self._input_bits + MULTIPLIER_BITS), name=f"product{lane}")
        narrow = Signal(signed(QUANTISED_BITS), name=f"narrow{lane}")
        q = Signal(signed(QUANTISED_BITS), name=f"q{lane}")
        m.d.comb += q.eq(clamp(narrow, self.limit))
        rounded = rhe(m, product, self.shift)
        with m.If(self.advance):
            m.d.sync += [
                product.eq(self.i.data[lane] * self.multiplier),
                narrow.eq(saturate(rounded, QUANTISED_BITS)),
                self.o.data[lane].eq(Mux(high, (q >> NIBBLE) + q[NIBBLE - 1], q[:NIBBLE])),
            ]
