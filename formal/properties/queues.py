"""Order, hold and counts of the queues inside the engines and the load unit."""

from unittest.mock import patch

from amaranth import *
from amaranth.hdl import Fragment

from formal.harness import Harness
from formal.properties.bus import SMALL
from hqdm.rtl.bus.burst_log import BurstLog
from hqdm.rtl.bus.queue import CreditQueue
from hqdm.rtl.load.queue import ChunkQueue
from hqdm.rtl.load.requests import LoadRequests

DEPTH = 4


def credit_queue(h: Harness) -> None:
    """What is pushed comes out in order and is held, if no more is pushed than fits."""
    dut = h.m.submodules.dut = CreditQueue(1, DEPTH)
    stored = Signal(range(DEPTH + 1))
    push, taken = h.free(1, "push") & (stored != DEPTH), dut.o.valid & dut.o.ready
    h.m.d.sync += stored.eq(stored + push - taken)
    h.tie(dut.push, push)
    h.drive(dut.o.ready, "ready")
    h.in_order("entries", push, dut.data, taken, dut.o.payload, bits=3)
    h.held("entry", dut.o)
    h.goal("taken", taken)


def burst_log(h: Harness) -> None:
    """The address of a burst is shown when it is answered; `empty` and `full` are its count."""
    dut = h.m.submodules.dut = BurstLog(1, DEPTH)
    open_, old = Signal(range(DEPTH + 1)), Signal(range(DEPTH + 1))    # old: for two cycles
    push = h.free(1, "push") & (open_ != DEPTH)
    pop = h.free(1, "pop") & (old != 0)
    h.m.d.sync += [open_.eq(open_ + push - pop), old.eq(old + h.past(push, "pushed") - pop)]
    h.tie(dut.push, push)
    h.tie(dut.pop, pop)
    h.in_order("addresses", push, dut.address, h.past(pop, "popped"), dut.answered, bits=4)
    h.require("empty", dut.empty == (open_ == 0))
    h.require("full", dut.full == (open_ == DEPTH))
    h.goal("answered", pop)


def chunks(h: Harness) -> None:
    """Chunks come out in order and are held; `full` leaves room for those under way."""
    with patch.multiple(ChunkQueue, DEPTH_BITS=3, _BLOCK=1):
        unit = ChunkQueue()
        h.m.submodules.dut = Fragment.get(unit, None)
    push = h.free(1, "push") & ~unit.full
    taken = h.free(1, "next") & unit.valid
    h.tie(unit.i_valid, push)
    h.tie(unit.next, taken)
    inside = h.in_order("chunks", push, unit.i, taken, unit.chunk, bits=4)
    h.require("room", inside < 1 << 3)
    h.require("chunk_held", h.kept(unit.valid & ~taken, Value.cast(unit.chunk), "chunk",
                                   unit.valid))
    h.goal("taken", taken)


def load_requests(h: Harness) -> None:
    """The load unit's requests are held until the reader takes them."""
    dut = h.m.submodules.dut = LoadRequests(SMALL)
    fields = {"height": 2, "width": 2, "out_height": 2, "out_width": 2, "words0": 2, "words1": 1,
              "tile_rows": 1, "chunk_words": 2, "chunks": 2, "out_words": 1, "kernel": 1,
              "stride": 1, "act_nibbles": 1, "row_bytes0": 8 * SMALL.n, "row_bytes1": 4 * SMALL.n,
              "source1": 1 << 12, "order": 1}
    h.tie(dut.layer, 0)
    h.m.d.comb += [dut.layer[name].eq(value) for name, value in fields.items()]
    h.tie(dut.layer.axis, h.fixed(1, "axis"))
    h.tie(dut.start, h.past(C(1, 1), "started") == 0)
    h.tie(dut.full, ~h.free(1, "room"))
    h.drive(dut.request.ready, "ready")
    h.held("request", dut.request)
    beats = h.register(6, "beats", lambda n: n + Mux(
        dut.request.valid & dut.request.ready, dut.request.payload.beats, 0))
    h.require("no_more", beats <= 2 * 2 * 2 * 3)
    h.goal("all", beats == 2 * 2 * 2 * 3)       # rows, columns, words of both sources
