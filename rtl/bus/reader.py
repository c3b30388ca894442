"""Linear reads over AXI4: requests in, bursts out, beats back in request order."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from rtl.bus.burst_log import BurstLog
from rtl.interfaces import BEATS_BITS, AxiRead, ReadPort
from spec.config import BURST_BEATS, Config


def check_fifo_beats(beats: int) -> None:
    """Raise ValueError unless `beats` is a power of two that holds two of the longest bursts."""
    if beats < 2 * BURST_BEATS or beats & (beats - 1):
        raise ValueError(f"fifo_beats: wanted a power of two of at least {2 * BURST_BEATS}, "
                         f"got {beats}")


class AxiReader(wiring.Component):
    """Splits linear reads into INCR bursts of at most 16 beats and returns the beats in order.

    A burst ends at the next multiple of 16 beats, so it never crosses a 4 KB boundary. It is
    issued only when the FIFO has room for all of it: `rready` is always 1, and the port never
    holds up an interconnect.

    Throughput: one burst per cycle (hence one request of up to 16 aligned beats per cycle) and
    one beat per cycle, without bubbles between requests. Latency: two cycles from a request to
    `arvalid`, two from `rvalid` to `beat.valid`. Back-pressure on `beat` is absorbed by the FIFO.

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
    handshake: a beat was received in this cycle.
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
        issue, length = Signal(), Signal(range(BURST_BEATS + 1))
        pending, draining, flush = Signal(), Signal(), Signal()
        m.d.comb += [
            flush.eq(self.abort | draining),
            self.idle.eq(~pending & ~axi.arvalid & log.empty),
            self.handshake.eq(axi.rvalid),
        ]
        m.d.sync += draining.eq(self.abort | (draining & ~self.idle))

        room = self._buffer(m, flush, issue, length)
        address = self._split(m, flush, pending, issue, length)
        m.d.comb += [
            issue.eq(pending & ~flush & (~axi.arvalid | axi.arready) & ~log.full
                     & (room >= length)),
            log.push.eq(issue),
            log.address.eq(address),
            log.pop.eq(axi.rvalid & axi.rlast),
        ]
        self._offer(m, issue, address, length)
        self._report(m, flush, log.oldest)
        return m

    def _split(self, m, flush, pending, issue, length):
        """The request being split; returns the address of its next burst."""
        config, request = self._config, self.port.request
        address, beats = Signal(config.address_bits), Signal(BEATS_BITS)
        beat_bits = (config.bus_bytes - 1).bit_length()
        to_boundary, last = Signal(range(BURST_BEATS + 1)), Signal()
        m.d.comb += [
            to_boundary.eq(BURST_BEATS - address[beat_bits:beat_bits + 4]),
            last.eq(beats <= to_boundary),
            length.eq(Mux(last, beats, to_boundary)),
            request.ready.eq(~flush & (~pending | (issue & last))),
        ]
        with m.If(issue):
            m.d.sync += [
                address.eq(address + (length << beat_bits)),
                beats.eq(beats - length),
                pending.eq(~last),
            ]
        with m.If(request.valid & request.ready):
            m.d.sync += [
                address.eq(request.payload.address),
                beats.eq(request.payload.beats),
                pending.eq(1),
            ]
        with m.If(flush):
            m.d.sync += pending.eq(0)
        return address

    def _offer(self, m, issue, address, length):
        """The AR channel."""
        axi = self.axi
        m.d.comb += [
            axi.arsize.eq((self._config.bus_bytes - 1).bit_length()),
            axi.arburst.eq(1),
            axi.rready.eq(1),
        ]
        with m.If(issue):
            m.d.sync += [
                axi.arvalid.eq(1), axi.araddr.eq(address), axi.arlen.eq(length - 1)]
        with m.Elif(axi.arready):
            m.d.sync += axi.arvalid.eq(0)

    def _buffer(self, m, flush, issue, length):
        """The beat FIFO; returns the room no burst has claimed yet."""
        beat = self.port.beat
        fifo = SyncFIFOBuffered(width=self._config.bus_bits, depth=self._fifo_beats + 1)
        m.submodules.fifo = ResetInserter(flush)(fifo)
        room = Signal(range(self._fifo_beats + 1), init=self._fifo_beats)
        taken = Signal()
        m.d.comb += [
            fifo.w_en.eq(self.axi.rvalid & ~flush),
            fifo.w_data.eq(self.axi.rdata),
            fifo.r_en.eq(taken),
            beat.payload.eq(fifo.r_data),
            beat.valid.eq(fifo.r_rdy & ~flush),
            taken.eq(beat.valid & beat.ready),
        ]
        m.d.sync += room.eq(room - Mux(issue, length, 0) + taken)
        with m.If(flush):
            m.d.sync += room.eq(self._fifo_beats)
        return room

    def _report(self, m, flush, burst_address):
        """The first error response since the last abort."""
        axi, reported, error = self.axi, Signal(), Signal()
        m.d.comb += error.eq(axi.rvalid & axi.rresp[1] & ~reported & ~flush)
        m.d.sync += [
            reported.eq((reported | error) & ~flush),
            self.fault.eq(error),
            self.decerr.eq(axi.rresp[0]),
            self.fault_address.eq(burst_address),
        ]
