"""The cells of the store's stages: the same registered arithmetic in every lane."""

from itertools import pairwise

from amaranth import *
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.product import product
from hqdm.rtl.rounding import Window, floor, narrow, one_hot, registered, saturate, settle, window
from hqdm.spec.fixed import CARRIER_BITS, MID_BITS, MULTIPLIER_BITS, RESIDUAL_SHIFT, SHIFT_BITS
from hqdm.spec.stages import ROW_MANTISSA_BITS, ROW_SHIFT_BITS, STORE, by_name

CARRIER = signed(CARRIER_BITS)
ALIGN_SHIFT_BITS = 5


def latency_of(name: str) -> int:
    """Cycles of a stage of the store, as the contract has it."""
    return by_name(STORE, name).advances(0, 0, 0)


def lanes_of(shape, lanes: int) -> data.ArrayLayout:
    return data.ArrayLayout(shape, lanes)


def shifted(m, x: Window, sixteens, shift, least: int, bits: int, name: str) -> Window:
    """The window `x` / 2**(16 * k + shift), for `floor` to `bits` bits, a cycle later.

    The coarse steps come first: after each, `left` is the most that is still to be shifted, and so
    many bits are kept above those that are wanted. For `bits` 16 and `least` 0:

        by 16 * k    keep 17 + 15 bits
        by 8         keep 17 + 7 bits, registered
        by 4, 2, 1   keep 17 + 3, 17 + 1, 17 bits

    Parameters
    ----------
    m: module the signals are added to. x: Window.
    sixteens: selects k, see `hqdm.rtl.rounding.narrow`.
    shift: 4 bits; those below 2**least are 0 and not looked at. Bits 0..2 come a cycle later.
    """
    left = 16 - (1 << least)        # what is still to be shifted, at most
    x = narrow(m, x, 16, sixteens, bits + 1 + left)
    for k in reversed(range(least, 4)):
        left -= 1 << k
        x = narrow(m, x, 1 << k, shift[k], bits + 1 + left)
        if k == 3:
            x = registered(m, x, name)
    return x


class Scale(Component):
    """o = sat(rhe(i * multiplier, shift)), per lane: the multiplier of a channel, static shift.

    Latency 5 (partial products, sum, two of shifting, rounding with saturation), one group per
    cycle.

    Parameters
    ----------
    lanes: values per cycle. in_bits, out_bits: signed widths.

    Members
    -------
    i, multiplier: in the same cycle. shift: static, 0..47. o: result.
    """

    latency = latency_of("channel")

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
        sixteens, shift = Signal(3), Signal(4)
        m.d.sync += [sixteens.eq(one_hot(self.shift[4:], 3)), shift.eq(self.shift[:4])]
        for k in range(self._lanes):
            x = window(product(m, self.i[k], self.multiplier[k], f"product{k}"))
            x = shifted(m, x, sixteens, shift, 0, self._out_bits, f"eights{k}")
            x = registered(m, x, f"shifted{k}")
            m.d.sync += self.o[k].eq(settle(m, x, self._out_bits))
        return m


class StepScale(Component):
    """o + up = sat16(rhe(i * multiplier, shift)), per lane: the multiplier of the timestep.

    Latency 5 (a way to the multipliers, partial products, sum, coarse shift, fine shift with
    saturation), one group per cycle. The adder that comes next has a place for `up`, so the
    rounding has none of its own.

    Members
    -------
    i: 24 bits. multiplier, shift: static, shift 0..47. o, up: result.
    """

    latency = latency_of("timestep")

    def __init__(self, lanes: int):
        self._lanes = lanes
        super().__init__({
            "i": In(lanes_of(signed(MID_BITS), lanes)),
            "multiplier": In(MULTIPLIER_BITS), "shift": In(SHIFT_BITS),
            "o": Out(lanes_of(CARRIER, lanes)), "up": Out(lanes),
        })

    def elaborate(self, platform):
        """One bit of the shift is in the multiplier, which is doubled for an even one.

        So every product is twice the wanted one with an even shift, and the window begins a bit up.
        """
        m = Module()
        scaled, sixteens, shift = Signal(MULTIPLIER_BITS + 1), Signal(3), Signal(4)
        m.d.sync += [
            scaled.eq(Mux(self.shift[0], self.multiplier, self.multiplier << 1)),
            sixteens.eq(one_hot(self.shift[4:], 3)), shift.eq(self.shift[:4]),
        ]
        for k in range(self._lanes):
            i = Signal(signed(MID_BITS), name=f"early{k}", reset_less=True)
            m.d.sync += i.eq(self.i[k])
            x = window(product(m, i, scaled, f"product{k}"), 1)
            x = shifted(m, x, sixteens, shift, 1, CARRIER_BITS, f"eights{k}")
            whole, up = floor(x, CARRIER_BITS)
            # the adder that comes next must not make the largest number larger
            largest = whole[:CARRIER_BITS - 1].all() & ~x.sign
            m.d.sync += [self.o[k].eq(saturate(whole, CARRIER_BITS)), self.up[k].eq(up & ~largest)]
        return m


class RowScale(Component):
    """o = sat24(rhe(i * mantissa, shift)) or i, per lane. Latency 4, one group per cycle.

    Without `enable` the factor is 1, so that the latency is always the same.

    Members
    -------
    i: a cycle after its factor (`Stage.second`).
    factors: a factor is its mantissa in bits 0..10, its shift in 11..15.
    enable: static. o: result, `latency` cycles after `i`.
    """

    latency = latency_of("row scale")

    def __init__(self, lanes: int):
        self._lanes = lanes
        super().__init__({
            "i": In(lanes_of(signed(MID_BITS), lanes)),
            "factors": In(lanes_of(CARRIER_BITS, lanes)),
            "enable": In(1), "o": Out(lanes_of(signed(MID_BITS), lanes)),
        })

    def elaborate(self, platform):
        m = Module()
        for k in range(self._lanes):
            mantissa, fours = self._factor(m, k)
            x = window(product(m, self.i[k], mantissa, f"product{k}"), 3)
            for power in (2, 1, 0):     # by 16, 8, 4; the mantissa has been shifted by 0 to 3
                x = narrow(m, x, 4 << power, fours[power], MID_BITS - 3 + (4 << power))
            x = registered(m, x, f"shifted{k}")
            m.d.sync += self.o[k].eq(settle(m, x, MID_BITS))
        return m

    def _factor(self, m, lane: int) -> tuple[Signal, Signal]:
        """(mantissa * 8 / 2**(shift % 4), shift / 4 beside the product), of 1 if not enabled.

        ~shift of two bits is 3 - shift: a shift left by it is one by 3 and back by shift.
        """
        mantissa = Signal(ROW_MANTISSA_BITS + 3, name=f"mantissa{lane}", reset_less=True)
        fours = [Signal(ROW_SHIFT_BITS - 2, name=f"fours{lane}_{k}", reset_less=True)
                 for k in range(3)]
        factor = self.factors[lane]
        shift = factor[ROW_MANTISSA_BITS:]
        m.d.sync += [
            mantissa.eq(factor[:ROW_MANTISSA_BITS] << ~shift[:2]),
            fours[0].eq(shift[2:]),
            *(after.eq(before) for before, after in pairwise(fours)),
        ]
        with m.If(~self.enable):
            m.d.sync += [mantissa.eq(8), fours[0].eq(0)]
        return mantissa, fours[-1]


class Add(Component):
    """o = sat16(i + addend + up), per lane, or its complement. Latency 1, one group per cycle.

    As ~x = -x - 1 and saturation commutes with it, x - y is ~(~x + y): a complement before and
    one after make an adder subtract. The stage before has the complement after its own sum.

    Members
    -------
    i, addend, up: in the same cycle. invert: static, complements the result. o: result.
    """

    latency = latency_of("bias")

    def __init__(self, lanes: int):
        self._lanes = lanes
        super().__init__({
            "i": In(lanes_of(CARRIER, lanes)), "addend": In(lanes_of(CARRIER, lanes)),
            "up": In(lanes), "invert": In(1), "o": Out(lanes_of(CARRIER, lanes)),
        })

    def elaborate(self, platform):
        m = Module()
        for k in range(self._lanes):
            # below `i` stands a 1 and below the addend `up`: so `up` carries into the sum
            total = Signal(signed(CARRIER_BITS + 2), name=f"total{k}")
            limited = saturate(total >> 1, CARRIER_BITS)
            m.d.comb += total.eq(Cat(C(1, 1), self.i[k]).as_signed()
                                 + Cat(self.up[k], self.addend[k]).as_signed())
            m.d.sync += self.o[k].eq(limited ^ self.invert.replicate(CARRIER_BITS))
        return m


class Align(Component):
    """o + up = sat16(rhe(i * 2**15, shift)), per lane: the second operand at another exponent.

    A multiplier is the shifter: i * 2**(15 - shift % 16), of which the lower 16 bits are dropped
    for shifts from 16 on:

        shift    0        7       15       16       23       30
        power    2**15    2**8    1        2**15    2**8     2
        right    .        .       .        16       16       16

    What rounds is smaller than what saturates: no sum is beyond 16 bits.
    Latency 3 (product, choice, saturation), one group per cycle.

    Members
    -------
    i: second operand. shift: static, 0..30, 15 keeps the value. enable: static, else 0 comes out.
    o, up: result.
    """

    latency = by_name(STORE, "second").second

    def __init__(self, lanes: int):
        self._lanes = lanes
        super().__init__({
            "i": In(lanes_of(CARRIER, lanes)), "shift": In(ALIGN_SHIFT_BITS), "enable": In(1),
            "o": Out(lanes_of(CARRIER, lanes)), "up": Out(lanes),
        })

    def elaborate(self, platform):
        m = Module()
        power, right = Signal(RESIDUAL_SHIFT + 1), Signal()
        m.d.sync += [
            power.eq(Cat(self.shift[:4] == RESIDUAL_SHIFT - k for k in range(len(power)))),
            right.eq(self.shift[4]),
        ]
        for k in range(self._lanes):
            raised = Signal(signed(CARRIER_BITS + RESIDUAL_SHIFT), name=f"raised{k}",
                            reset_less=True)
            x = registered(m, narrow(m, window(raised), 16, right, CARRIER_BITS + 1), f"x{k}")
            whole, up = floor(x, CARRIER_BITS)
            m.d.sync += [
                raised.eq(self.i[k] * power),
                self.o[k].eq(saturate(whole, CARRIER_BITS)), self.up[k].eq(up),
            ]
            with m.If(~self.enable):
                m.d.sync += [self.o[k].eq(0), self.up[k].eq(0)]
        return m
