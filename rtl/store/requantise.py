"""The arithmetic of store, one lane group per cycle: the ordered list of stages."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.rounding import rhe, saturate
from spec.fixed import (
    ACCUMULATOR_BITS,
    CARRIER_BITS,
    MID_BITS,
    MULTIPLIER_BITS,
    RESIDUAL_SHIFT,
    SHIFT_BITS,
)

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


STAGES = (                                              # in order, with their latencies
    ("channel", Scale.latency),                         # mid = sat24(rhe(acc * M[o], S1))
    ("timestep", Scale.latency),                        # y = sat16(rhe(mid * Mt, St))
    # row scale: y * R[row], the reciprocal of softmax, belongs here
    ("bias", Add.latency),                              # y = sat16(y + bias[o])
    ("second", Add.latency),                            # y = sat16(y +- align(x2)); and the gate
    # statistics: sums per row and channel of y belong here
)


def stage_start(name: str) -> int:
    """Cycles from `sums` to the input of a stage."""
    names = [stage for stage, _ in STAGES]
    if name not in names:
        raise ValueError(f"store stage: wanted one of {', '.join(names)}, got {name!r}")
    return sum(latency for _, latency in STAGES[:names.index(name)])


class Requantise(wiring.Component):
    """The stages of `STAGES` on `lanes` partial sums per cycle; no flow control.

    Latency: `latency` cycles from `sums`. Operands that enter later have to be there
    `bias_at` and `second_at` cycles after the sums they belong to.

    Parameters
    ----------
    lanes: partial sums per cycle.

    Members
    -------
    sums, multipliers: partial sums and M of their output channels.
    bias: bias of the output channels, `bias_at` cycles later.
    second: second operand, unaligned, `second_at` cycles later.
    channel_shift, step_multiplier, step_shift, residual_shift, residual: static, see
        `spec.descriptor`.
    o: output carriers, `latency` cycles later.
    """

    latency = sum(latency for _, latency in STAGES)
    bias_at = stage_start("bias")
    second_at = stage_start("second") - Align.latency

    def __init__(self, lanes: int):
        self._lanes = lanes
        super().__init__({
            "sums": In(lanes_of(signed(ACCUMULATOR_BITS), lanes)),
            "multipliers": In(lanes_of(MULTIPLIER_BITS, lanes)),
            "bias": In(lanes_of(CARRIER, lanes)),
            "second": In(lanes_of(CARRIER, lanes)),
            "channel_shift": In(SHIFT_BITS),
            "step_multiplier": In(MULTIPLIER_BITS), "step_shift": In(SHIFT_BITS),
            "residual_shift": In(ALIGN_SHIFT_BITS), "residual": In(2),
            "o": Out(lanes_of(CARRIER, lanes)),
        })

    @property
    def lanes(self) -> int:
        return self._lanes

    def elaborate(self, platform):
        m = Module()
        lanes = self._lanes
        m.submodules.channel = channel = Scale(lanes, ACCUMULATOR_BITS, MID_BITS)
        m.submodules.timestep = timestep = Scale(lanes, MID_BITS, CARRIER_BITS)
        m.submodules.bias = bias = Add(lanes)
        m.submodules.align = align = Align(lanes)
        m.submodules.second = second = Add(lanes)
        m.d.comb += [
            channel.i.eq(self.sums),
            channel.multiplier.eq(self.multipliers),
            channel.shift.eq(self.channel_shift),
            timestep.i.eq(channel.o),
            Value.cast(timestep.multiplier).eq(self.step_multiplier.replicate(lanes)),
            timestep.shift.eq(self.step_shift),
            bias.i.eq(timestep.o),
            bias.addend.eq(self.bias),
            align.i.eq(self.second),
            align.shift.eq(self.residual_shift),
            second.i.eq(bias.o),
            second.addend.eq(align.o),
            second.enable.eq(self.residual != 0),
            second.subtract.eq(self.residual[1]),
            self.o.eq(second.o),
        ]
        return m
