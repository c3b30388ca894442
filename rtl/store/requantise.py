"""The arithmetic of store, one lane group per cycle: the ordered list of stages."""

from typing import NamedTuple

from amaranth import *
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.modes import has_residual, subtracts
from hqdm.rtl.store.lanes import (
    ALIGN_SHIFT_BITS,
    CARRIER,
    Add,
    Align,
    RowScale,
    Scale,
    StepScale,
    lanes_of,
)
from hqdm.spec.fixed import ACCUMULATOR_BITS, CARRIER_BITS, MID_BITS, MULTIPLIER_BITS, SHIFT_BITS
from hqdm.spec.stages import STORE, STORE_LATENCY, by_name, in_core, store_start


def operand_at(name: str) -> int:
    """Cycles from the sums to the word of the second operand that a stage takes."""
    ahead = by_name(STORE, name).second
    assert ahead is not None
    return store_start(name) - ahead


def _channel(m, ports, before):
    m.submodules.channel = unit = Scale(ports.lanes, ACCUMULATOR_BITS, MID_BITS)
    m.d.comb += [unit.i.eq(before.o), unit.multiplier.eq(ports.multipliers),
                 unit.shift.eq(ports.channel_shift)]
    return unit


def _row_scale(m, ports, before):
    m.submodules.row = unit = RowScale(ports.lanes)
    m.d.comb += [unit.i.eq(before.o), unit.factors.eq(ports.factors),
                 unit.enable.eq(ports.row_scale)]
    return unit


def _timestep(m, ports, before):
    m.submodules.timestep = unit = StepScale(ports.lanes)
    m.d.comb += [unit.i.eq(before.o), unit.multiplier.eq(ports.step_multiplier),
                 unit.shift.eq(ports.step_shift)]
    return unit


def _bias(m, ports, before):
    """The adder has a place for the rounding of the product before it, `up`."""
    m.submodules.bias = unit = Add(ports.lanes)
    m.d.comb += [unit.i.eq(before.o), unit.up.eq(before.up), unit.addend.eq(ports.bias)]
    return unit


def _second(m, ports, before):
    m.submodules.align = align = Align(ports.lanes)
    m.submodules.second = unit = Add(ports.lanes)
    m.d.comb += [
        align.i.eq(ports.second), align.shift.eq(ports.residual_shift),
        align.enable.eq(has_residual(ports.residual)),
        unit.i.eq(before.o), unit.addend.eq(align.o), unit.up.eq(align.up),
    ]
    return unit


# Of every stage of the store that the core has: what adds its unit to `m` behind the unit before.
UNITS = {"channel": _channel, "row scale": _row_scale, "timestep": _timestep, "bias": _bias,
         "second": _second}


class Sums(NamedTuple):
    """What stands before the first stage."""

    o: data.View


class Requantise(Component):
    """The stages of `hqdm.spec.stages.STORE` on `lanes` partial sums per cycle; no flow control.

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

    latency = STORE_LATENCY
    row_at = operand_at("row scale")
    bias_at = store_start("bias")
    second_at = operand_at("second")

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
        unit, units = Sums(self.sums), {}
        for stage in in_core(STORE):
            units[stage.name] = unit = UNITS[stage.name](m, self, unit)
        m.d.comb += [       # to subtract is to add between two complements, see `Add`
            units["bias"].invert.eq(subtracts(self.residual)),
            units["second"].invert.eq(subtracts(self.residual)),
            self.o.eq(unit.o),
        ]
        return m
