"""Writes of channel words over AXI4: one two-beat burst per word."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from rtl.bus.burst_log import BurstLog
from rtl.interfaces import AxiWrite, write_word
from spec.config import Config

QUEUE_WORDS = 8     # words accepted ahead of the bus


class AxiWriter(wiring.Component):
    """Writes each word as one INCR burst of two beats at its (word aligned) address.

    AW and W move independently, W never ahead of its AW; `bready` is always 1.
    Throughput: one word in two cycles, one beat per cycle. Latency: three cycles from a word to
    `awvalid`, two more to `wvalid`. Back-pressure on `word` once 8 words wait for the bus.

    While `abort` is high, and after it until every burst has been answered, words are not
    accepted and no burst is started; queued words without an address on the bus are dropped, the
    others are written in full. Afterwards the writer is as after reset.

    Parameters
    ----------
    config: bus and address widths, `max_outstanding` bursts awaiting their response.

    Members
    -------
    word: words to write.
    axi: AW, W and B channels.
    abort: level, see above.
    idle: everything accepted has been written and acknowledged.
    fault: pulse, once until the next abort: a burst was answered with SLVERR or DECERR.
    decerr: with `fault`, the response was DECERR.
    fault_address: with `fault`, address of the burst.
    handshake: a beat was sent in this cycle.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "word": In(stream.Signature(write_word(config))),
            "axi": Out(AxiWrite(config.address_bits, config.bus_bits)),
            "abort": In(1), "idle": Out(1),
            "fault": Out(1), "decerr": Out(1), "fault_address": Out(config.address_bits),
            "handshake": Out(1),
        })

    @property
    def config(self) -> Config:
        return self._config

    def elaborate(self, platform):
        m = Module()
        config, axi, word = self._config, self.axi, self.word
        m.submodules.log = log = BurstLog(config.address_bits, config.max_outstanding)
        addresses = SyncFIFOBuffered(width=config.address_bits, depth=QUEUE_WORDS)
        words = SyncFIFOBuffered(width=2 * config.bus_bits, depth=QUEUE_WORDS)
        draining, flush, accept = Signal(), Signal(), Signal()
        owed = Signal(range(QUEUE_WORDS + 1))      # addresses issued whose data are still queued
        m.submodules.addresses = ResetInserter(flush)(addresses)
        m.submodules.words = ResetInserter(flush & (owed == 0))(words)
        m.d.comb += [
            flush.eq(self.abort | draining),
            word.ready.eq(addresses.w_rdy & words.w_rdy & ~flush),
            accept.eq(word.valid & word.ready),
            addresses.w_en.eq(accept),
            addresses.w_data.eq(word.payload.address),
            words.w_en.eq(accept),
            words.w_data.eq(word.payload.data),
            self.idle.eq((addresses.level == 0) & (words.level == 0) & ~axi.awvalid & ~axi.wvalid
                         & log.empty),
            self.handshake.eq(axi.wvalid & axi.wready),
        ]
        m.d.sync += draining.eq(self.abort | (draining & ~self.idle))
        issue = self._offer_addresses(m, flush, addresses, log)
        sent = self._offer_data(m, owed, words)
        m.d.sync += owed.eq(owed + issue - sent)
        self._report(m, flush, log)
        return m

    def _offer_addresses(self, m, flush, addresses, log):
        """The AW channel; returns "an address was moved to it"."""
        axi, issue = self.axi, Signal(name="issue")
        m.d.comb += [
            axi.awsize.eq((self._config.bus_bytes - 1).bit_length()),
            axi.awburst.eq(1),
            axi.awlen.eq(1),
            issue.eq(addresses.r_rdy & ~flush & (~axi.awvalid | axi.awready) & ~log.full),
            addresses.r_en.eq(issue),
            log.push.eq(issue),
            log.address.eq(addresses.r_data),
        ]
        with m.If(issue):
            m.d.sync += [axi.awvalid.eq(1), axi.awaddr.eq(addresses.r_data)]
        with m.Elif(axi.awready):
            m.d.sync += axi.awvalid.eq(0)
        return issue

    def _offer_data(self, m, owed, words):
        """The W channel; returns "the second beat of a word was moved to it"."""
        axi, move, upper = self.axi, Signal(name="move"), Signal(name="upper")
        bits = self._config.bus_bits
        m.d.comb += [
            move.eq(words.r_rdy & (owed != 0) & (~axi.wvalid | axi.wready)),
            words.r_en.eq(move & upper),
            axi.wstrb.eq(~0),
        ]
        with m.If(move):
            m.d.sync += [
                axi.wvalid.eq(1), axi.wlast.eq(upper), upper.eq(~upper),
                axi.wdata.eq(Mux(upper, words.r_data[bits:], words.r_data[:bits])),
            ]
        with m.Elif(axi.wready):
            m.d.sync += axi.wvalid.eq(0)
        return move & upper

    def _report(self, m, flush, log):
        """The B channel: the first error response since the last abort."""
        axi, reported, error = self.axi, Signal(), Signal()
        m.d.comb += [
            axi.bready.eq(1),
            log.pop.eq(axi.bvalid),
            error.eq(axi.bvalid & axi.bresp[1] & ~reported & ~flush),
        ]
        m.d.sync += [
            reported.eq((reported | error) & ~flush),
            self.fault.eq(error),
            self.decerr.eq(axi.bresp[0]),
            self.fault_address.eq(log.oldest),
        ]
