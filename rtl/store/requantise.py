"""The arithmetic of store, one lane group per cycle: the ordered list of stages."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hqdm.rtl.store.lanes import (
    ALIGN_SHIFT_BITS,
    CARRIER,
    FACTOR_AHEAD,
    Add,
    Align,
    RowScale,
    Scale,
    StepScale,
    lanes_of,
)
from hqdm.spec.fixed import ACCUMULATOR_BITS, CARRIER_BITS, MID_BITS, MULTIPLIER_BITS, SHIFT_BITS

STAGES = (                                              # in order, with their latencies
    ("channel", Scale.latency),                         # mid = sat24(rhe(acc * M[o], S1))
    ("row scale", RowScale.latency),                    # mid = sat24(rhe(mid * R[row], L[row]))
    ("timestep", StepScale.latency),                    # y = sat16(rhe(mid * Mt, St))
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
    `row_at`, `bias_at` and `second_at` cycles after the sums they belong to.

    Parameters
    ----------
    lanes: partial sums per cycle.

    Members
    -------
    sums, multipliers: partial sums and M of their output channels.
    factors: row factors, `row_at` cycles later, see `RowScale`.
    bias: bias of the output channels, `bias_at` cycles later.
    second: second operand, unaligned, `second_at` cycles later.
    channel_shift, row_scale, step_multiplier, step_shift, residual_shift, residual: static, see
        `hqdm.spec.descriptor`.
    o: output carriers, `latency` cycles later.
    """

    latency = sum(latency for _, latency in STAGES)
    row_at = stage_start("row scale") - FACTOR_AHEAD
    bias_at = stage_start("bias")
    second_at = stage_start("second") - Align.latency

    def __init__(self, lanes: int):
        self._lanes = lanes
        super().__init__({
            "sums": In(lanes_of(signed(ACCUMULATOR_BITS), lanes)),
            "multipliers": In(lanes_of(MULTIPLIER_BITS, lanes)),
            "factors": In(lanes_of(CARRIER_BITS, lanes)),
            "bias": In(lanes_of(CARRIER, lanes)),
            "second": In(lanes_of(CARRIER, lanes)),
            "channel_shift": In(SHIFT_BITS), "row_scale": In(1),
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
        m.submodules.row = row = RowScale(lanes)
        m.submodules.timestep = timestep = StepScale(lanes)
        m.submodules.bias = bias = Add(lanes)
        m.submodules.align = align = Align(lanes)
        m.submodules.second = second = Add(lanes)
        m.d.comb += [
            channel.i.eq(self.sums),
            channel.multiplier.eq(self.multipliers),
            channel.shift.eq(self.channel_shift),
            row.i.eq(channel.o),
            row.factors.eq(self.factors),
            row.enable.eq(self.row_scale),
            timestep.i.eq(row.o),
            timestep.multiplier.eq(self.step_multiplier),
            timestep.shift.eq(self.step_shift),
            bias.i.eq(timestep.o),
            bias.up.eq(timestep.up),
            bias.addend.eq(self.bias),
            align.i.eq(self.second),
            align.shift.eq(self.residual_shift),
            align.enable.eq(self.residual != 0),
            second.i.eq(bias.o),
            second.addend.eq(align.o),
            second.up.eq(align.up),
            bias.invert.eq(self.residual[1]),
            second.invert.eq(self.residual[1]),
            self.o.eq(second.o),
        ]
        return m
