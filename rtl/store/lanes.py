"""The cells of the store's stages: the same registered arithmetic in every lane."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.rounding import rhe, saturate
from spec.fixed import CARRIER_BITS, MID_BITS, MULTIPLIER_BITS, RESIDUAL_SHIFT, SHIFT_BITS
from spec.stages import ROW_MANTISSA_BITS, ROW_SHIFT_BITS

CARRIER = signed(CARRIER_BITS)
ALIGN_SHIFT_BITS = 5


def lanes_of(shape, lanes: int) -> data.ArrayLayout:
    return data.ArrayLayout(shape, lanes)


class Scale(wiring.Component):
    """o = sat(rhe(i * multiplier, shift)), per lane: product, rounding and saturation registered.

    Latency 3, one group per cycle.

    Parameters
    ----------
    lanes: values per cycle. in_bits, out_bits: signed widths.

    Members
    -------
    i, multiplier: in the same cycle. shift: static, 0..47. o: result.
    """

    latency = 3

    def __init__(self, lanes: int, in_bits: int, out_bits: int):
        self._lanes, self._in_bits, self._out_bits = lanes, in_bits, out_bits
        super().__init__({
            "i": In(lanes_of(signed(in_bits), lanes)),
            "multiplier": In(lanes_of(MULTIPLIER_BITS, lanes)),
            "shift": In(SHIFT_BITS),
            "o": Out(lanes_of(signed(out_bits), lanes)),
        })

    def elaborate(self, platform):
        m = Module()
        width = self._in_bits + MULTIPLIER_BITS
        for k in range(self._lanes):
            product = Signal(signed(width), name=f"product{k}")
            rounded = Signal(signed(width), name=f"rounded{k}")
            m.d.sync += [
                product.eq(self.i[k] * self.multiplier[k]),
                rounded.eq(rhe(m, product, self.shift)),
                self.o[k].eq(saturate(rounded, self._out_bits)),
            ]
        return m


class RowScale(wiring.Component):
    """o = sat24(rhe(i * mantissa, shift)) or i, per lane. Latency 3, one group per cycle.

    Without `enable` the factor is 1, so that the latency is always the same.

    Members
    -------
    i, factors: in the same cycle; a factor is its mantissa in bits 0..10, its shift in 11..15.
    enable: static. o: result.
    """

    latency = 3

    def __init__(self, lanes: int):
        self._lanes = lanes
        super().__init__({
            "i": In(lanes_of(signed(MID_BITS), lanes)),
            "factors": In(lanes_of(CARRIER_BITS, lanes)),
            "enable": In(1), "o": Out(lanes_of(signed(MID_BITS), lanes)),
        })

    def elaborate(self, platform):
        m = Module()
        width = MID_BITS + ROW_MANTISSA_BITS
        for k in range(self._lanes):
            factor = Signal(CARRIER_BITS, name=f"factor{k}")
            shift = Signal(ROW_SHIFT_BITS, name=f"shift{k}")
            product = Signal(signed(width), name=f"product{k}")
            rounded = Signal(signed(width), name=f"rounded{k}")
            m.d.comb += factor.eq(Mux(self.enable, self.factors[k], 1))
            m.d.sync += [
                product.eq(self.i[k] * factor[:ROW_MANTISSA_BITS]),
                shift.eq(factor[ROW_MANTISSA_BITS:]),
                rounded.eq(rhe(m, product, shift)),
                self.o[k].eq(saturate(rounded, MID_BITS)),
            ]
        return m


class Add(wiring.Component):
    """o = sat16(i + addend), i - addend or i, per lane. Latency 1, one group per cycle.

    Members
    -------
    i, addend: in the same cycle. enable, subtract: static. o: result.
    """

    latency = 1

    def __init__(self, lanes: int):
        self._lanes = lanes
        super().__init__({
            "i": In(lanes_of(CARRIER, lanes)), "addend": In(lanes_of(CARRIER, lanes)),
            "enable": In(1, init=1), "subtract": In(1), "o": Out(lanes_of(CARRIER, lanes)),
        })

    def elaborate(self, platform):
        m = Module()
        for k in range(self._lanes):
            addend = Signal(signed(CARRIER_BITS + 1), name=f"addend{k}")
            m.d.comb += addend.eq(Mux(self.subtract, -self.addend[k], self.addend[k]))
            with m.If(self.enable):
                m.d.sync += self.o[k].eq(saturate(self.i[k] + addend, CARRIER_BITS))
            with m.Else():
                m.d.sync += self.o[k].eq(self.i[k])
        return m


class Align(wiring.Component):
    """o = sat16(rhe(i * 2**15, shift)), per lane: the second operand at the output's exponent.

    Latency 2, one group per cycle.

    Members
    -------
    i: second operand. shift: static, 0..30, 15 keeps the value. o: result.
    """

    latency = 2

    def __init__(self, lanes: int):
        self._lanes = lanes
        super().__init__({
            "i": In(lanes_of(CARRIER, lanes)), "shift": In(ALIGN_SHIFT_BITS),
            "o": Out(lanes_of(CARRIER, lanes)),
        })

    def elaborate(self, platform):
        m = Module()
        for k in range(self._lanes):
            raised = Signal(signed(CARRIER_BITS + RESIDUAL_SHIFT), name=f"raised{k}")
            rounded = Signal(signed(CARRIER_BITS + RESIDUAL_SHIFT), name=f"rounded{k}")
            m.d.comb += raised.eq(self.i[k] << RESIDUAL_SHIFT)
            m.d.sync += [
                rounded.eq(rhe(m, raised, self.shift)),
                self.o[k].eq(saturate(rounded, CARRIER_BITS)),
            ]
        return m
