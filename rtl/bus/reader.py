"""Linear reads over AXI4: requests in, bursts out, beats back in request order."""

from typing import Any, NamedTuple

from amaranth import *
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hqdm.rtl.bus.burst_log import BurstLog
from hqdm.rtl.bus.queue import CreditQueue
from hqdm.rtl.component import Component
from hqdm.rtl.interfaces import BEATS_BITS, AxiRead, ReadPort, is_decerr, is_error
from hqdm.spec.config import BURST_BEATS, Config


def check_fifo_beats(beats: int) -> None:
    """Raise ValueError unless `beats` is a power of two that holds two of the longest bursts."""
    if beats < 2 * BURST_BEATS or beats & (beats - 1):
        raise ValueError(f"fifo_beats: wanted a power of two of at least {2 * BURST_BEATS}, "
                         f"got {beats}")


def burst_layout(config: Config) -> data.StructLayout:
    """The next burst: `more` beats after the first one."""
    return data.StructLayout({"valid": 1, "address": config.address_bits, "more": 4})


class Burst(NamedTuple):
    """The next burst and when it goes: `issue` is high for the one cycle that takes it."""

    next: Any       # of `burst_layout`
    issue: Signal


class AxiReader(Component):
    """Splits linear reads into INCR bursts of at most 16 beats and returns the beats in order.

    A burst ends at the next multiple of 16 beats, so it never crosses a 4 KB boundary. It is
    issued only when the FIFO has room for all of it: `rready` is always 1, and the port never
    holds up an interconnect.

    Throughput: one burst (hence one request of up to 16 aligned beats) in two cycles and one beat
    per cycle, without bubbles between requests of two beats or more. Latency: four cycles from a
    request to `arvalid`, three from `rvalid` to `beat.valid`; a beat that is taken makes room for
    a burst three cycles later. Back-pressure on `beat` is absorbed by the FIFO. No output depends
    on an AXI input in the same cycle.

    While `abort` is high, and after it until every outstanding burst has been answered, requests
    are not accepted and beats are discarded; an address already offered stays offered until it
    is taken. Afterwards the reader is as after reset.

    Parameters
    ----------
    config: bus and address widths, `max_outstanding` bursts in flight.
    fifo_beats: beats the FIFO holds, a power of two, at least 32.

    Members
    -------
    port: the unit's requests and beats; addresses are aligned to a beat, `beats` is at least 1.
    axi: AR and R channels.
    abort: level, see above.
    idle: nothing requested, offered or outstanding.
    fault: pulse, once until the next abort: a beat came back with SLVERR or DECERR.
    decerr: with `fault`, the response was DECERR.
    fault_address: with `fault`, address of the burst the beat belongs to.
    handshake: a beat was received in the cycle before.
    """

    def __init__(self, config: Config, fifo_beats: int = 64):
        check_fifo_beats(fifo_beats)
        self._config = config
        self._fifo_beats = fifo_beats
        super().__init__({
            "port": In(ReadPort(config)),
            "axi": Out(AxiRead(config.address_bits, config.bus_bits)),
            "abort": In(1), "idle": Out(1),
            "fault": Out(1), "decerr": Out(1), "fault_address": Out(config.address_bits),
            "handshake": Out(1),
        })

    @property
    def config(self) -> Config:
        return self._config

    @property
    def fifo_beats(self) -> int:
        return self._fifo_beats

    def elaborate(self, platform):
        m = Module()
        config, axi = self._config, self.axi
        m.submodules.log = log = BurstLog(config.address_bits, config.max_outstanding)
        pending, draining, flush = Signal(), Signal(), Signal()
        burst: Any = Signal(burst_layout(config))
        issue = Signal()
        following = Burst(burst, issue)
        m.d.comb += [
            flush.eq(self.abort | draining),
            self.idle.eq(~pending & ~burst.valid & ~axi.arvalid & log.empty),
            log.push.eq(issue), log.address.eq(burst.address),
            log.pop.eq(axi.rvalid & axi.rlast),
        ]
        m.d.sync += [draining.eq(self.abort | (draining & ~self.idle)),
                     self.handshake.eq(axi.rvalid)]
        self._split(m, following, flush, pending)
        room, fits = self._buffer(m, following, flush), Signal()
        # known a cycle later, so that the comparison is no part of the issue
        m.d.sync += fits.eq(burst.valid & ~issue & ~log.full & (room > burst.more))
        m.d.comb += issue.eq(burst.valid & fits & ~axi.arvalid & ~flush)
        self._offer(m, following)
        self._report(m, flush, log.answered)
        return m

    def _split(self, m, following: Burst, flush, pending) -> None:
        """The request being split: its next burst goes to `following`.

        Memory is seen as rows of 16 beats. A request is a run of beats that begins at `place` in
        its first row; each burst ends where its row ends, and only the first can begin inside one:

            row 0   . . . . . . . . . . . a b c d e     place 11: 5 beats, `more` = 4 = ~11
            row 1   f g h i j k l m n o p q r s t u     place 0: 16 beats
            row 2   v w x . . . . . . . . . . . . .     `last`: what is left fits into the row
        """
        (burst, issue), config, request = following, self._config, self.port.request
        address, beats = Signal(config.address_bits), Signal(BEATS_BITS)
        beat_bits = (config.bus_bytes - 1).bit_length()
        row, place = address[beat_bits + 4:], address[beat_bits:beat_bits + 4]
        split, last, least = Signal(), Signal(), Signal(5)
        m.d.comb += [
            least.eq(beats[:5] - 1),
            last.eq((beats[5:] == 0) & (least <= ~place)),
            split.eq(pending & (~burst.valid | issue)),
            request.ready.eq(~pending & ~flush),
        ]
        with m.If(issue):
            m.d.sync += burst.valid.eq(0)
        with m.If(split):
            m.d.sync += [
                burst.valid.eq(1), burst.address.eq(address),
                burst.more.eq(Mux(last, least, ~place)),
                row.eq(row + 1), place.eq(0), pending.eq(~last),
                # - (16 - place): a number of which all upper bits are 1 is it minus 16
                beats.eq(beats + Cat(place, C(-1, BEATS_BITS - 4))),
            ]
        with m.If(request.valid & request.ready):
            m.d.sync += [address.eq(request.payload.address), beats.eq(request.payload.beats),
                         pending.eq(1)]
        with m.If(flush):
            m.d.sync += [pending.eq(0), burst.valid.eq(0)]

    def _offer(self, m, following: Burst) -> None:
        """The AR channel."""
        axi, (burst, issue) = self.axi, following
        m.d.comb += [
            axi.arsize.eq((self._config.bus_bytes - 1).bit_length()),
            axi.arburst.eq(1),
            axi.rready.eq(1),
        ]
        with m.If(issue):
            m.d.sync += [axi.arvalid.eq(1), axi.araddr.eq(burst.address),
                         axi.arlen.eq(burst.more)]
        with m.Elif(axi.arready):
            m.d.sync += axi.arvalid.eq(0)

    def _buffer(self, m, following: Burst, flush) -> Signal:
        """The beat FIFO; returns the room no burst has claimed yet.

        A burst claims its room when it is issued, a beat gives it back when it is taken. In one
        cycle both may happen, and one adder does both: below the counter stands a bit that is
        always 1, so that `taken` in the same place carries into the counter.
        """
        beat = self.port.beat
        fifo = CreditQueue(self._config.bus_bits, self._fifo_beats)
        m.submodules.fifo = ResetInserter(flush)(fifo)
        room = Signal(range(self._fifo_beats + 1), init=self._fifo_beats)
        taken, claimed = Signal(), Signal(len(room))
        minus = Cat(~following.next.more, C(-1, len(room) - 4))     # - (more + 1)
        m.d.comb += [
            fifo.push.eq(self.axi.rvalid), fifo.data.eq(self.axi.rdata),
            claimed.eq(Mux(following.issue, minus, 0)),
        ]
        m.d.comb += [beat.payload.eq(fifo.o.payload), beat.valid.eq(fifo.o.valid & ~flush),
                     fifo.o.ready.eq(beat.ready)]
        m.d.sync += [
            taken.eq(beat.valid & beat.ready),
            room.eq((Cat(C(1, 1), room) + Cat(taken, claimed))[1:]),
        ]
        with m.If(flush):
            m.d.sync += [room.eq(self._fifo_beats), taken.eq(0)]
        return room

    def _report(self, m, flush, burst_address) -> None:
        """The first error response since the last abort."""
        axi, reported, error, decerr = self.axi, Signal(), Signal(), Signal()
        m.d.sync += [
            error.eq(axi.rvalid & is_error(axi.rresp) & ~flush),
            decerr.eq(is_decerr(axi.rresp)),
            reported.eq((reported | error) & ~flush),
            self.fault.eq(error & ~reported & ~flush),
            self.decerr.eq(decerr),
            self.fault_address.eq(burst_address),
        ]
