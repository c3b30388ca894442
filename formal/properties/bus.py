"""Stream rules of the AXI engines, at a reduced size and with any memory behind them."""

from unittest.mock import patch

from amaranth import *
from amaranth.hdl import Fragment

import hqdm.rtl.bus.reader
import hqdm.rtl.bus.writer
from formal.harness import Harness
from hqdm.rtl.bus.reader import AxiReader
from hqdm.rtl.bus.registers import RegisterBank
from hqdm.rtl.bus.writer import AxiWriter
from hqdm.spec.config import BURST_BEATS, Config

SMALL = Config(name="formal", n=4, buffer_words=64, acc_words=16, max_outstanding=2)
FIFO_BEATS = 16
WORDS = 2           # the writer takes
BEATS_BITS = 2      # of a request, and of a burst: at most 3 beats


def small_reader() -> AxiReader:
    """A reader with a FIFO of FIFO_BEATS beats; requests are shorter than that."""
    with patch.object(hqdm.rtl.bus.reader, "check_fifo_beats"):
        return AxiReader(SMALL, FIFO_BEATS)


class Reads:
    """A memory that answers bursts in order, whenever it likes: lengths of the open ones."""

    def __init__(self, h: Harness, axi):
        m, first, after = h.m, Signal(BEATS_BITS), Signal(BEATS_BITS)
        self.first = h.register(BEATS_BITS, "first", lambda _: first)
        second = h.register(BEATS_BITS, "second", lambda _: after)
        middle, new = Signal(BEATS_BITS), Signal(BEATS_BITS)
        m.d.comb += [
            axi.arready.eq(h.free(1, "arready")),
            axi.rvalid.eq(h.free(1, "rvalid") & (self.first != 0)),
            axi.rlast.eq(self.first == 1),
            middle.eq(self.first - axi.rvalid),
            new.eq(Mux(axi.arvalid & axi.arready, axi.arlen + 1, 0)),
            first.eq(Mux(middle != 0, middle, Mux(second != 0, second, new))),
            after.eq(Mux((middle != 0) & (second != 0), second,
                         Mux((middle != 0) | (second != 0), new, 0))),
        ]
        h.require("outstanding", ~((middle != 0) & (second != 0) & (new != 0)))
        h.require("burst_length", ~axi.arvalid | (axi.arlen < (1 << BEATS_BITS) - 1))


def flushed(h: Harness, unit, abort):
    """The engine drops what it gets: from `abort` until it is idle."""
    h.tie(unit.abort, abort)
    draining = h.register(1, "draining", lambda d: abort | (d & ~unit.idle))
    return abort | draining


def _reader(h: Harness, long, abort: bool = False) -> None:
    """A reader between any unit and any memory; requests are of three beats if `long`, else one."""
    dut = h.m.submodules.dut = small_reader()
    port, axi = dut.port, dut.axi
    flush = flushed(h, dut, ~h.free(1, "no_abort") if abort else C(0))
    Reads(h, axi)
    h.drive(port.request.valid, "request_valid")
    h.tie(port.request.payload.address, 0)
    h.tie(port.request.payload.beats, Mux(long, 3, 1))
    h.drive(port.beat.ready, "beat_ready")
    h.in_order("beats", axi.rvalid & ~flush, axi.rdata,
               port.beat.valid & port.beat.ready, port.beat.payload, clear=flush, bits=5)
    h.held("beat", port.beat, unless=flush)
    h.require("ready", axi.rready)
    h.require("address", h.kept(axi.arvalid & ~axi.arready, Cat(axi.araddr, axi.arlen), "ar",
                                axi.arvalid))
    h.goal("beat", port.beat.valid & port.beat.ready)


def reader(h: Harness) -> None:
    """Beats come back in order, none lost, whatever memory and unit do; requests of three beats."""
    _reader(h, 1)


def reader_bursts(h: Harness) -> None:
    """The bursts are the requests, in order and cut at multiples of 16 beats."""
    dut = h.m.submodules.dut = small_reader()
    m, port, axi = h.m, dut.port, dut.axi
    h.tie(dut.abort, 0)
    Reads(h, axi)
    h.tie(port.beat.ready, 1)
    place, length = h.free(1, "place"), h.free(1, "length")
    beats_before = Mux(place, BURST_BEATS - 1, 0)       # the request starts there
    step = SMALL.bus_bytes
    taken = port.request.valid & port.request.ready
    issued = axi.arvalid & axi.arready
    h.drive(port.request.valid, "request_valid")
    h.tie(port.request.payload.address, beats_before * step)
    h.tie(port.request.payload.beats, Mux(length, 3, 1))
    # the requests whose bursts are not all out: the next beat of each, and how many are left
    queue = [(Signal(5, name=f"next{k}"), Signal(2, name=f"left{k}")) for k in range(3)]
    after = [(Signal(5, name=f"after_next{k}"), Signal(2, name=f"after_left{k}"))
             for k in range(3)]
    (head, left), done = queue[0], Signal()
    count = Signal(2)
    m.d.comb += [count.eq(Mux((head < BURST_BEATS) & (left > BURST_BEATS - head),
                              BURST_BEATS - head, left)),
                 done.eq(issued & (count == left))]
    for k in range(3):
        source = queue[k + 1] if k < 2 else (C(0, 5), C(0, 2))
        m.d.comb += [after[k][0].eq(Mux(done, source[0], queue[k][0])),
                     after[k][1].eq(Mux(done, source[1], queue[k][1]))]
        m.d.sync += [queue[k][0].eq(after[k][0]), queue[k][1].eq(after[k][1])]
    with m.If(issued & ~done):
        m.d.sync += [head.eq(head + count), left.eq(left - count)]
    for k in range(3):
        free = (after[k][1] == 0) & (after[k - 1][1] != 0 if k else 1)
        with m.If(taken & free):
            m.d.sync += [queue[k][0].eq(beats_before), queue[k][1].eq(Mux(length, 3, 1))]
    h.require("requests_inside", ~taken | (after[2][1] == 0))
    h.require("invented", ~axi.arvalid | (left != 0))
    h.require("start", ~axi.arvalid | (axi.araddr == head * step))
    h.require("length", ~axi.arvalid | (axi.arlen + 1 == count))
    h.goal("burst", issued)


def writer_addresses(h: Harness) -> None:
    """Addresses of the words in order, and held."""
    axi, word, _ = _writer(h)
    aw = axi.awvalid & axi.awready
    h.in_order("addresses", word.announce, word.address, aw, axi.awaddr, bits=3)
    h.require("address_held", h.kept(axi.awvalid & ~axi.awready, axi.awaddr, "aw", axi.awvalid))


def writer_data(h: Harness) -> None:
    """The groups of the words in order, and held."""
    axi, word, w = _writer(h)
    bits = len(word.data)
    even = Signal(bits)
    h.in_order("groups", word.push & ~word.group[0], even, w, axi.wdata[:bits], bits=4)
    odd = h.register(bits, "odd", lambda old: Mux(word.push & ~word.group[0], even, old))
    h.tie(word.data, Mux(word.group[0], odd, even))
    h.require("both_halves", ~w | (axi.wdata[:bits] == axi.wdata[bits:]))
    h.require("data_held", h.kept(axi.wvalid & ~axi.wready, Cat(axi.wdata, axi.wlast), "w",
                                  axi.wvalid))


def _writer(h: Harness, abort: bool = False):
    """A writer between any unit and any memory; (axi, word, "a beat is taken")."""
    m, unit = h.m, AxiWriter(SMALL)
    with patch.object(hqdm.rtl.bus.writer, "WRITE_WORDS", WORDS):
        m.submodules.dut = Fragment.get(unit, None)
    axi, word = unit.axi, unit.word
    flush = flushed(h, unit, ~h.free(1, "no_abort") if abort else C(0))
    aw, w = axi.awvalid & axi.awready, axi.wvalid & axi.wready
    for signal in (axi.awready, axi.wready):
        h.drive(signal, signal.name)
    # the unit: words announced and not taken, and those of them still to be pushed
    inside, coming, group = Signal(3), Signal(3), Signal(2)
    announce = h.free(1, "announce") & (inside != WORDS) & ~flush
    push = h.free(1, "push") & (coming != 0) & ~flush
    m.d.comb += [word.announce.eq(announce), word.push.eq(push), word.group.eq(group)]
    m.d.sync += [inside.eq(Mux(flush, 0, inside + announce - word.taken)),
                 coming.eq(Mux(flush, 0, coming + announce - (push & (group == 3)))),
                 group.eq(Mux(flush, 0, group + push))]
    owed = h.register(signed(5), "owed", lambda n: n + (aw << 1) - w)   # beats without data
    addresses = h.register(3, "addresses_open", lambda n: n + aw - axi.bvalid)
    bursts = h.register(3, "bursts_open", lambda n: n + (w & axi.wlast) - axi.bvalid)
    h.tie(axi.bvalid, h.free(1, "bvalid") & (addresses != 0) & (bursts != 0))
    upper = h.register(1, "upper", lambda u: u ^ w)
    h.require("not_ahead", ~axi.wvalid | (owed + (axi.awvalid << 1) > 0))
    h.require("last", ~axi.wvalid | (axi.wlast == upper))
    h.require("idle", ~unit.idle | ((owed == 0) & (addresses == 0) & (bursts == 0)))
    h.goal("data", w)
    return axi, word, w


def writer_abort(h: Harness) -> None:
    """Aborted at any time, what has an address on the bus is still written in full."""
    axi, *_ = _writer(h, abort=True)
    h.require("address_held", h.kept(axi.awvalid & ~axi.awready, axi.awaddr, "aw", axi.awvalid))


def registers(h: Harness) -> None:
    """AXI4-Lite responses are held, one for every access, and none for nothing."""
    dut = h.m.submodules.dut = RegisterBank()
    axil = dut.axil
    for name in ("awvalid", "wvalid", "bready", "arvalid", "rready", "araddr"):
        signal = getattr(axil, name)
        source = h.free(1, name)
        h.tie(signal, source << 3 if name == "araddr" else source)
    aw, w, b, ar, r = (getattr(axil, f"{channel}valid") & getattr(axil, f"{channel}ready")
                       for channel in ("aw", "w", "b", "ar", "r"))
    addresses = h.register(2, "addresses", lambda n: n + aw - b)
    data = h.register(2, "data", lambda n: n + w - b)
    reads = h.register(2, "reads", lambda n: n + ar - r)
    h.require("write_answered", ~axil.bvalid | ((addresses != 0) & (data != 0)))
    h.require("read_answered", ~axil.rvalid | (reads != 0))
    h.require("few", (addresses != 3) & (data != 3) & (reads != 3))
    h.require("b_held", h.kept(axil.bvalid & ~axil.bready, axil.bresp, "b", axil.bvalid))
    h.require("r_held", h.kept(axil.rvalid & ~axil.rready, Cat(axil.rdata, axil.rresp), "r",
                               axil.rvalid))
    h.goal("write", b)
    h.goal("read", r)
