"""Rounding and saturation against their definitions, for all inputs of a narrow multiplier."""

from amaranth import *

from formal.harness import Harness
from hqdm.rtl.load.quantise import Quantiser
from hqdm.rtl.rounding import narrow, one_hot, settle, window
from hqdm.rtl.store.lanes import Add, Align, RowScale, Scale, StepScale
from hqdm.spec.fixed import (
    CARRIER_BITS,
    MAX_SHIFT,
    MID_BITS,
    NIBBLE,
    RESIDUAL_SHIFT,
    quantised_magnitude,
    symmetric_max,
)
from hqdm.spec.stages import ROW_MANTISSA_BITS, STORE, by_name

SETTLED = 4             # cycles after which what is static has reached every stage
FACTOR_BITS = 2         # of a multiplier: with many more, the products are beyond the solver
NARROWEST = 19          # value the units' multipliers are made for


def is_rounded(value, shift, result, low, high):
    """`result` is value / 2**shift, nearest, ties to even, limited to low..high.

    Said of the distance in halves, not computed: 2 * value lies within 2**shift of
    2 * result * 2**shift, at the edge only if `result` is even, beyond only at a bound.
    """
    doubled, odd = value << 1, result[0]
    above = doubled - (((result << 1) - 1) << shift)
    below = (((result << 1) + 1) << shift) - doubled
    reaches = Mux(odd, above > 0, above >= 0)
    stays = Mux(odd, below > 0, below >= 0)
    return (((result == low) | reaches) & ((result == high) | stays)
            & (result >= low) & (result <= high))


def is_saturated(value, shift, result, bits):
    """The same, limited to the range of a signed number of `bits` bits."""
    return is_rounded(value, shift, result, -(1 << bits - 1), (1 << bits - 1) - 1)


def _after(h: Harness, value, cycles, name):
    """`value`, `cycles` later."""
    for k in range(cycles):
        value = h.past(value, f"{name}{k}")
    return value


def _once(h: Harness, name, latency, condition):
    """`condition` has to hold of inputs that, whatever they are, come when all is settled."""
    at = latency + SETTLED
    cycle = h.register(range(at + 2), "cycle", lambda n: Mux(n > at, n, n + 1))
    h.require(name, (cycle != at) | condition)


def _factor(h: Harness, bits, name, *, fixed):
    """An input of `bits` bits that is below 2**FACTOR_BITS."""
    factor = (h.fixed if fixed else h.free)(bits, name)
    h.assume(name, factor < 1 << FACTOR_BITS)
    return factor


def _shift(h: Harness, most=MAX_SHIFT):
    shift = h.fixed(range(most + 1), "shift")
    h.assume("shift", shift <= most)
    return shift


def rounding(h: Harness) -> None:
    """Every number of 14 bits, by every shift the two steps make, to 5 bits."""
    value, coarse, fine = h.free(signed(14), "value"), h.free(range(3), "coarse"), h.free(1, "fine")
    h.assume("coarse", coarse < 3)
    bits = 5
    x = narrow(h.m, window(value), 4, one_hot(coarse, 3), bits + 2)
    result = settle(h.m, narrow(h.m, x, 1, fine, bits + 1), bits)
    h.require("rounded", is_saturated(value, (coarse << 2) + fine, result, bits))


def scale(h: Harness) -> None:
    """The multiplier of a channel, its rounding and saturation."""
    dut = h.m.submodules.dut = Scale(1, NARROWEST, CARRIER_BITS)
    value, shift = h.free(signed(NARROWEST), "value"), _shift(h)
    factor = _factor(h, len(dut.multiplier[0]), "multiplier", fixed=False)
    h.m.d.comb += [dut.i[0].eq(value), dut.multiplier[0].eq(factor), dut.shift.eq(shift)]
    exact = _after(h, value * factor, dut.latency, "exact")
    _once(h, "rounded", dut.latency, is_saturated(exact, shift, dut.o[0], CARRIER_BITS))


def step_scale(h: Harness) -> None:
    """The multiplier of the timestep; what is left for the next adder to add counts."""
    dut = h.m.submodules.dut = StepScale(1)
    value, shift = h.free(signed(MID_BITS), "value"), _shift(h)
    factor = _factor(h, len(dut.multiplier), "multiplier", fixed=True)
    h.m.d.comb += [dut.i[0].eq(value), dut.multiplier.eq(factor), dut.shift.eq(shift)]
    exact = _after(h, value * factor, dut.latency, "exact")
    _once(h, "rounded", dut.latency,
          is_saturated(exact, shift, dut.o[0] + dut.up[0], CARRIER_BITS))


FACTOR_AHEAD = by_name(STORE, "row scale").second


def row_scale(h: Harness) -> None:
    """The factor of a row, or 1."""
    dut = h.m.submodules.dut = RowScale(1)
    value, enable = h.free(signed(MID_BITS), "value"), h.fixed(1, "enable")
    mantissa = _factor(h, ROW_MANTISSA_BITS, "mantissa", fixed=False)
    shift = h.free(CARRIER_BITS - ROW_MANTISSA_BITS, "shift")
    late_mantissa = _after(h, mantissa, FACTOR_AHEAD, "mantissa")
    late_shift = _after(h, shift, FACTOR_AHEAD, "shift")
    h.m.d.comb += [dut.i[0].eq(value), dut.factors[0].eq(Cat(mantissa, shift)),
                   dut.enable.eq(enable)]
    exact = _after(h, value * Mux(enable, late_mantissa, 1), dut.latency, "exact")
    by = _after(h, Mux(enable, late_shift, 0), dut.latency, "by")
    _once(h, "rounded", dut.latency, is_saturated(exact, by, dut.o[0], MID_BITS))


def align(h: Harness) -> None:
    """The second operand at the output's exponent."""
    dut = h.m.submodules.dut = Align(1)
    value, shift = h.free(signed(CARRIER_BITS), "value"), _shift(h, 2 * RESIDUAL_SHIFT)
    enable = h.fixed(1, "enable")
    h.m.d.comb += [dut.i[0].eq(value), dut.shift.eq(shift), dut.enable.eq(enable)]
    raised = _after(h, Mux(enable, value << RESIDUAL_SHIFT, 0), dut.latency, "raised")
    # the adder that follows saturates: only what is beyond 16 bits may be short of it
    result = dut.o[0] + dut.up[0]
    _once(h, "rounded", dut.latency, is_saturated(raised, shift, result, CARRIER_BITS))


def add(h: Harness) -> None:
    """Bias and second operand: the saturated sum, or its complement."""
    dut = h.m.submodules.dut = Add(1)
    value, addend = (h.free(signed(CARRIER_BITS), name) for name in ("value", "addend"))
    up, invert = h.free(1, "up"), h.fixed(1, "invert")
    h.m.d.comb += [dut.i[0].eq(value), dut.addend[0].eq(addend), dut.up.eq(up),
                   dut.invert.eq(invert)]
    exact = _after(h, value + addend + up, dut.latency, "exact")
    result = Mux(invert, ~dut.o[0], dut.o[0])
    _once(h, "saturated", dut.latency, is_saturated(exact, C(0, 1), result, CARRIER_BITS))


def quantiser(h: Harness) -> None:
    """q, whole or in nibbles, within its bounds."""
    dut = h.m.submodules.dut = Quantiser(1, NARROWEST)
    value, shift = h.free(signed(NARROWEST), "value"), _shift(h)
    factor = _factor(h, len(dut.multiplier), "multiplier", fixed=True)
    split, nibble = h.fixed(1, "split"), h.free(1, "nibble")
    low, high = h.fixed(7, "low"), h.fixed(7, "high")
    q = h.free(signed(8), "q")                  # guessed, and right if it fits the definition
    most = Mux(split, symmetric_max(8), quantised_magnitude(NIBBLE, ranged=True))
    h.assume("bounds", (low <= most) & (high <= most) & (split | ~nibble))
    h.m.d.comb += [
        dut.i.data[0].eq(value), dut.i.nibble.eq(nibble), dut.i.valid.eq(1), dut.advance.eq(1),
        dut.multiplier.eq(factor), dut.shift.eq(shift), dut.low.eq(low), dut.high.eq(high),
        dut.split.eq(split),
    ]
    exact = _after(h, value * factor, dut.latency, "exact")
    upper = _after(h, nibble, dut.latency, "upper")
    lower = ((q + 8) & 15) - 8
    expected = Mux(split, Mux(upper, (q - lower) >> 4, lower), q)
    _once(h, "nibble", dut.latency, ~is_rounded(exact, shift, q, -low, high)
          | (dut.o.data[0] == expected))
