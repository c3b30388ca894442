"""What the store unit reads from memory, in the order in which it is used."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from rtl.interfaces import BEATS_BITS, DESCRIPTOR_LAYOUT, ReadPort
from rtl.store.second import has_second
from rtl.store.walk import TileWalk
from spec.config import Config

REQUESTS_AHEAD = 64     # a reader with 64 beats never has more requests of two beats in flight
PARAMETERS, SECOND = 0, 1


class StoreReads(wiring.Component):
    """Fetches M, bias and second operand, and sorts the beats that come back.

    For each spatial tile and output word: M, bias, then, if the layer has a second operand, its
    word of every pixel. Each request is one word of two beats. Requests run
    ahead as far as the reader lets them; one request and one beat per cycle.

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
        kinds = SyncFIFOBuffered(width=1, depth=REQUESTS_AHEAD)
        m.submodules.kinds = kinds
        self._request(m, kinds)
        self._sort(m, kinds)
        return m

    def _request(self, m, kinds):
        """Requests in order; the kind of each is noted in `kinds`."""
        config, request = self._config, self.read.request
        m.submodules.walk = walk = TileWalk(config)
        state, sent, last = Signal(2), Signal(), Signal()       # state: 0 M, 1 bias, 2 second
        offset = Signal(config.address_bits)                    # of the output word in M and bias
        address = Signal(config.address_bits)
        m.d.comb += [
            walk.layer.eq(self.layer),
            walk.base.eq(self.layer.second),
            walk.start.eq(self.start),
            request.valid.eq(walk.active & kinds.w_rdy),
            # as a whole: Yosys writes a constant part of a signal as an `always @*` without
            # inputs, which a simulator never runs
            request.payload.eq(Cat(address, Const(2, BEATS_BITS))),
            sent.eq(request.valid & request.ready),
            kinds.w_en.eq(sent),
            kinds.w_data.eq(Mux(state == 2, SECOND, PARAMETERS)),
            walk.step.eq(sent & (state == 2)),
            walk.skip.eq(sent & (state == 1) & ~has_second(self.layer)),
            last.eq(walk.skip | (walk.step & walk.last_pixel)),
        ]
        with m.Switch(state):
            with m.Case(0):
                m.d.comb += address.eq(self.layer.multipliers + offset)
            with m.Case(1):
                m.d.comb += address.eq(self.bias + offset)
            with m.Default():
                m.d.comb += address.eq(walk.address)
        with m.If(last):
            m.d.sync += [state.eq(0),
                         offset.eq(Mux(walk.last_word, 0, offset + config.word_bytes))]
        with m.Elif(sent & (state != 2)):
            m.d.sync += state.eq(state + 1)
        with m.If(self.start):
            m.d.sync += [state.eq(0), offset.eq(0)]

    def _sort(self, m, kinds):
        """Beats to where they belong, two for each entry of `kinds`."""
        beat, second_beat = self.read.beat, Signal()
        taken = Signal()
        for output, kind in ((self.parameters, PARAMETERS), (self.second, SECOND)):
            mine = kinds.r_rdy & (kinds.r_data == kind)
            m.d.comb += [
                output.payload.eq(beat.payload),
                output.valid.eq(beat.valid & mine),
            ]
            with m.If(mine):
                m.d.comb += beat.ready.eq(output.ready)
        m.d.comb += [
            taken.eq(beat.valid & beat.ready),
            kinds.r_en.eq(taken & second_beat),
        ]
        m.d.sync += second_beat.eq(second_beat ^ taken)
