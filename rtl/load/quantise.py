"""Quantisation by the per-timestep scale registers, and the choice of the nibble."""

from itertools import pairwise
from typing import NamedTuple

from amaranth import *
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.load.beat import Beat
from hqdm.rtl.product import product
from hqdm.rtl.rounding import Window, floor, narrow, one_hot, registered, window
from hqdm.spec.fixed import MULTIPLIER_BITS, NIBBLE, QUANTISED_BITS, SHIFT_BITS
from hqdm.spec.stages import LOAD, by_name

WIDE_BITS = 8       # of q before it is split
COARSE, COARSE_STEPS = 8, 5     # shifts of 0, 8 … 32; |r * multiplier| is below 2**38


class Scale(NamedTuple):
    """What every lane multiplies by and shifts by, registered beside its operand."""

    multiplier: Signal  # m[t] * 2 / 2**(shift % 2)
    coarse: Signal      # one-hot: shift right by 8 * k
    fine: Signal        # the rest: bit 1 shifts by 4, bit 0 by 2


class Bounds(NamedTuple):
    """What q is compared with, and what leaves the unit instead of a q beyond it."""

    high: Signal
    low: Signal
    highest: Signal
    lowest: Signal


class Quantiser(Component):
    """q = clamp(rhe(r * multiplier, shift), -low, high), whole or a signed 4-bit nibble of it.

    With `split`, nibble 0 is ((q + 8) & 15) - 8 and nibble 1 is (q - nibble 0) / 16; without, the
    only nibble is q itself, at most 15 in magnitude: 5 bits.

        q =  119 = 0111 0111    nibble 0 =  7, and q + 8 = 0111 1111 begins with nibble 1 =  7
        q =   25 = 0001 1001    nibble 0 = -7, and q + 8 = 0010 0001 begins with nibble 1 =  2
        q = -119 = 1000 1001    nibble 0 = -7, and q + 8 = 1001 0001 begins with nibble 1 = -7

    So 8 is added for the upper nibble, and nothing carries into a ninth bit: 119 = 16 * 7 + 7 is
    the largest number of two signed nibbles.

    Latency 6 advances (operands, products, sum, shift, rounding, clamp), one beat per advance, no
    back-pressure.

    Parameters
    ----------
    lanes: numbers per beat.
    input_bits: width of a rotated carrier, signed, at most 23.

    Members
    -------
    multiplier, shift: m[t] and s[t] of the step, static while beats are in the pipeline.
    low, high: bounds, at most 15, with `split` 119. split: q takes two passes.
    advance: clock enable of the whole pipeline.
    i, o: beats; `i.nibble` selects the nibble.
    """

    latency = by_name(LOAD, "quantise").advances(0, 0, 0)   # whatever is rotated

    def __init__(self, lanes: int, input_bits: int):
        self._lanes, self._input_bits = lanes, input_bits
        super().__init__({
            "multiplier": In(MULTIPLIER_BITS), "shift": In(SHIFT_BITS),
            "low": In(WIDE_BITS - 1), "high": In(WIDE_BITS - 1), "split": In(1),
            "advance": In(1),
            "i": In(Beat(lanes, input_bits)), "o": Out(Beat(lanes, QUANTISED_BITS)),
        })

    @property
    def lanes(self) -> int:
        return self._lanes

    def elaborate(self, platform):
        m = Module()
        pipeline = Module()
        m.submodules.pipeline = EnableInserter(self.advance)(pipeline)
        tags: list[Value] = [Signal(2, name=f"tag{k}") for k in range(self.latency - 1)]
        tags = [Cat(self.i.valid, self.i.nibble), *tags, Cat(self.o.valid, self.o.nibble)]
        pipeline.d.sync += [after.eq(before) for before, after in pairwise(tags)]
        upper = tags[-3][1]     # the nibble of what is being rounded, two advances before the end
        scale = self._scale(pipeline)
        bounds = self._bounds(pipeline, upper)
        for lane in range(self._lanes):
            shifted = self._shifted(pipeline, lane, scale)
            self._clamped(pipeline, lane, shifted, upper, bounds)
        return m

    def _scale(self, m) -> Scale:
        """The shift in four parts: by 1 in the multiplier, which is doubled for an even one.

        Shifts of 40 and more leave nothing, as does a multiplier of 0.
        """
        scaled, coarse, fine = Signal(MULTIPLIER_BITS + 1), Signal(COARSE_STEPS), Signal(2)
        chosen = one_hot(self.shift[3:], COARSE_STEPS)
        m.d.sync += [
            scaled.eq(Mux(self.shift[0], self.multiplier, self.multiplier << 1)),
            coarse.eq(chosen), fine.eq(self.shift[1:3]),
        ]
        with m.If(~chosen.any()):
            m.d.sync += scaled.eq(0)
        return Scale(scaled, coarse, fine)

    def _bounds(self, m, upper) -> Bounds:
        """The same for all lanes: the nibble of a bound is made once, not in each lane."""
        bounds = [Signal(signed(WIDE_BITS), name=name) for name in ("above", "below")]
        parts = [Signal(QUANTISED_BITS, name=name) for name in ("highest", "lowest")]
        m.d.sync += [bounds[0].eq(self.high), bounds[1].eq(-self.low)]
        m.d.sync += [part.eq(self._part(bound + (upper << (NIBBLE - 1)), upper))
                     for bound, part in zip(bounds, parts, strict=True)]
        return Bounds(*bounds, *parts)

    def _part(self, q, upper):
        """Nibble of q, or all of it; for the upper nibble 8 is already added to q.

        A whole q has 5 bits: then bit 4 is the sign of what a nibble has bit 3 for.
        """
        sign = Mux(self.split, q[NIBBLE - 1], q[NIBBLE])
        return Mux(upper, q[NIBBLE:WIDE_BITS].as_signed(), Cat(q[:NIBBLE], sign).as_signed())

    def _shifted(self, m, lane: int, scale: Scale) -> Window:
        """Window of r * multiplier / 2**shift, four advances later."""
        operand = Signal(signed(self._input_bits), name=f"operand{lane}", reset_less=True)
        m.d.sync += operand.eq(self.i.data[lane])
        x = window(product(m, operand, scale.multiplier, f"product{lane}"), 1)
        x = narrow(m, x, COARSE, scale.coarse, WIDE_BITS + 7)
        x = narrow(m, x, 4, scale.fine[1], WIDE_BITS + 3)
        return registered(m, narrow(m, x, 2, scale.fine[0], WIDE_BITS + 1), f"shifted{lane}")

    def _clamped(self, m, lane: int, shifted: Window, upper, bounds: Bounds) -> None:
        """To the output, two advances later; the bounds are compared before it is rounded.

        The rounded number is `whole` or one more. From `whole` = high on it is high or beyond, so
        high comes out; below low it is at most low, so low comes out.
        """
        part = Signal(QUANTISED_BITS, name=f"part{lane}", reset_less=True)
        high, low = (Signal(name=f"{name}{lane}", reset_less=True) for name in ("high", "low"))
        whole, up = floor(shifted, WIDE_BITS)
        rounded = Signal(WIDE_BITS, name=f"rounded{lane}")
        # one adder: `up`, and for the upper nibble 8
        m.d.comb += rounded.eq(whole + Cat(up, C(0, NIBBLE - 2), upper))
        m.d.sync += [
            part.eq(self._part(rounded, upper)),
            high.eq(whole >= bounds.high),
            low.eq(whole < bounds.low),
            self.o.data[lane].eq(Mux(high, bounds.highest, Mux(low, bounds.lowest, part))),
        ]
