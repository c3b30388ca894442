"""What the store unit reads from memory, in the order in which it is used."""

from enum import IntEnum

from amaranth import *
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from hqdm.rtl.bus.queue import CreditQueue
from hqdm.rtl.component import Component
from hqdm.rtl.interfaces import BEATS_BITS, DESCRIPTOR_LAYOUT, ReadPort
from hqdm.rtl.modes import has_second
from hqdm.rtl.store.walk import TileWalk
from hqdm.spec.config import Config

REQUESTS_AHEAD = 64     # a reader with 64 beats never has as many requests of two beats inside
PARAMETERS, SECOND = 0, 1


class Ask(IntEnum):
    """What is asked for next, in this order; SECOND is repeated, or skipped."""

    MULTIPLIERS = 0
    BIAS = 1
    SECOND = 2


class StoreReads(Component):
    """Fetches M, bias and second operand, and sorts the beats that come back.

    For each spatial tile and output word: M, bias, then, if the layer has a second operand, its
    word of every pixel. Each request is one word of two beats. Requests run ahead as far as the
    reader lets them, at most `REQUESTS_AHEAD`; one request in three cycles, one beat per cycle.

    Members
    -------
    layer: descriptor; bias: address of the timestep's biases; start: pulse.
    read: port of the AXI reader.
    parameters: beats of M and bias. second: beats of the second operand.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "bias": In(config.address_bits), "start": In(1),
            "read": Out(ReadPort(config)),
            "parameters": Out(stream.Signature(config.bus_bits)),
            "second": Out(stream.Signature(config.bus_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.kinds = kinds = CreditQueue(1, REQUESTS_AHEAD)
        self._request(m, kinds)
        self._sort(m, kinds.o)
        return m

    def _request(self, m, kinds: CreditQueue) -> None:
        """Requests in order, their addresses a cycle ahead; the kind of each goes to `kinds`."""
        config, request = self._config, self.read.request
        m.submodules.walk = walk = TileWalk(config)
        state, sent, second = Signal(2), Signal(), Signal()     # state: an `Ask`
        moved, valid = Signal(), Signal()                       # a request was sent; there is one
        address = Signal(config.address_bits)
        offset = Signal(16 + config.word_bytes.bit_length())    # of the output word in M and bias
        m.d.comb += [
            walk.layer.eq(self.layer),
            walk.base.eq(self.layer.second),
            walk.start.eq(self.start),
            request.valid.eq(valid),
            # as a whole: Yosys writes a constant part of a signal as an `always @*` without
            # inputs, which a simulator never runs
            request.payload.eq(Cat(address, Const(2, BEATS_BITS))),
            sent.eq(valid & request.ready),
            kinds.push.eq(sent),
            kinds.data.eq(Mux(state == Ask.SECOND, SECOND, PARAMETERS)),
            walk.step.eq(moved & (state == Ask.SECOND)),
            walk.skip.eq(moved & (state == Ask.BIAS) & ~second),
        ]
        m.d.sync += [
            second.eq(has_second(self.layer)), moved.eq(sent),
            valid.eq(~self.start & (Mux(valid, ~request.ready, walk.active & ~moved))),
            address.eq(Mux(state == Ask.SECOND, walk.address,
                           Mux(state == Ask.BIAS, self.bias, self.layer.multipliers) + offset)),
        ]
        with m.If(moved):
            m.d.sync += state.eq(Mux(state == Ask.SECOND, Ask.SECOND, state + 1))
        with m.If(walk.skip | (walk.step & walk.last_pixel)):
            m.d.sync += [state.eq(Ask.MULTIPLIERS),
                         offset.eq(Mux(walk.last_word, 0, offset + config.word_bytes))]
        with m.If(self.start):
            m.d.sync += [state.eq(Ask.MULTIPLIERS), offset.eq(0), moved.eq(0)]

    def _sort(self, m, kind) -> None:
        """Beats to where they belong, two for each `kind`."""
        beat, second_beat = self.read.beat, Signal()
        taken = Signal()
        for output, number in ((self.parameters, PARAMETERS), (self.second, SECOND)):
            mine = kind.valid & (kind.payload == number)
            m.d.comb += [
                output.payload.eq(beat.payload),
                output.valid.eq(beat.valid & mine),
            ]
            with m.If(mine):
                m.d.comb += beat.ready.eq(output.ready)
        m.d.comb += [
            taken.eq(beat.valid & beat.ready),
            kind.ready.eq(taken & second_beat),
        ]
        m.d.sync += second_beat.eq(second_beat ^ taken)
