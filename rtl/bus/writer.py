"""Writes of channel words over AXI4: one two-beat burst per word."""

from amaranth import *
from amaranth.lib.wiring import In, Out

from hqdm.rtl.bus.burst_log import BurstLog
from hqdm.rtl.bus.queue import CreditQueue
from hqdm.rtl.component import Component
from hqdm.rtl.counting import change
from hqdm.rtl.interfaces import WRITE_WORDS, AxiWrite, WordWrite, is_decerr, is_error
from hqdm.spec.config import Config


class AxiWriter(Component):
    """Writes each word as one INCR burst of two beats at its (word aligned) address.

    AW and W move independently, W never ahead of its AW; `bready` is always 1. No output depends
    on an AXI input in the same cycle.
    Throughput: one word in two cycles, one beat per cycle. Latency: two cycles from the last group
    of a word to `awvalid` and its first beat, another one to the second. `WRITE_WORDS` words wait
    inside at most; the store unit counts them.

    While `abort` is high, and after it until every burst has been answered, words are dropped and
    no burst is started; words whose address is on the bus are written in full. Afterwards the
    writer is as after reset.

    Parameters
    ----------
    config: bus and address widths, `max_outstanding` bursts awaiting their response.

    Members
    -------
    word: words to write.
    axi: AW, W and B channels.
    abort: level, see above.
    idle: every complete word has been written and acknowledged.
    fault: pulse, once until the next abort: a burst was answered with SLVERR or DECERR.
    decerr: with `fault`, the response was DECERR.
    fault_address: with `fault`, address of the burst.
    handshake: a beat was sent in the cycle before.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "word": In(WordWrite(config)),
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
        draining, flush, issue = Signal(), Signal(), Signal()
        complete, owed = (Signal(range(WRITE_WORDS + 1), name=name)    # without, with an address
                          for name in ("complete", "owed"))
        ended, error = Signal(), Signal()       # error: a burst was answered with one
        m.d.comb += [
            flush.eq(self.abort | draining),
            ended.eq(word.push & (word.group == 3)),
            self.idle.eq((complete == 0) & (owed == 0) & ~axi.awvalid & log.empty & ~error),
        ]
        m.d.sync += [
            draining.eq(self.abort | (draining & ~self.idle)),
            complete.eq(complete + change(ended, issue, len(complete))),
        ]
        with m.If(flush):
            m.d.sync += complete.eq(0)
        self._offer_addresses(m, flush, issue, complete, log)
        sent = self._offer_data(m, flush, owed)
        m.d.sync += [owed.eq(owed + change(issue, sent, len(owed))), word.taken.eq(sent)]
        self._report(m, flush, log, error)
        return m

    def _offer_addresses(self, m, flush, issue, complete, log: BurstLog) -> None:
        """The AW channel: `issue` a complete word."""
        axi, word = self.axi, self.word
        addresses = CreditQueue(self._config.address_bits, WRITE_WORDS)
        m.submodules.addresses = ResetInserter(flush)(addresses)
        m.d.comb += [
            addresses.push.eq(word.announce), addresses.data.eq(word.address),
            addresses.o.ready.eq(issue),
            axi.awlen.eq(1), axi.awsize.eq((self._config.bus_bytes - 1).bit_length()),
            axi.awburst.eq(1),
            issue.eq((complete != 0) & addresses.o.valid & ~axi.awvalid & ~log.full & ~flush),
            log.push.eq(issue), log.address.eq(addresses.o.payload),
        ]
        with m.If(issue):
            m.d.sync += [axi.awvalid.eq(1), axi.awaddr.eq(addresses.o.payload)]
        with m.Elif(axi.awready):
            m.d.sync += axi.awvalid.eq(0)

    def _offer_data(self, m, flush, owed):
        """The W channel; returns "the second beat of a word was taken"."""
        axi, word, moved = self.axi, self.word, Signal()
        m.d.comb += [axi.wstrb.eq(~0), moved.eq(axi.wvalid & axi.wready)]
        # The store unit pushes a word as four groups of half a beat: 0 and 1 are the first beat,
        # 2 and 3 the second. A queue for each half of a beat puts them together again.
        valid = owed != 0
        for half in range(2):
            queue = CreditQueue(self._config.bus_bits // 2, 2 * WRITE_WORDS)
            m.submodules[f"half{half}"] = ResetInserter(flush & (owed == 0))(queue)
            m.d.comb += [
                queue.push.eq(word.push & (word.group[0] == half)), queue.data.eq(word.data),
                queue.o.ready.eq(moved),
                axi.wdata.word_select(half, self._config.bus_bits // 2).eq(queue.o.payload),
            ]
            valid &= queue.o.valid
        m.d.comb += axi.wvalid.eq(valid)
        m.d.sync += [axi.wlast.eq(axi.wlast ^ moved), self.handshake.eq(moved)]
        return moved & axi.wlast

    def _report(self, m, flush, log: BurstLog, error) -> None:
        """The B channel: the first error response since the last abort."""
        axi, reported, decerr = self.axi, Signal(), Signal()
        m.d.comb += [
            axi.bready.eq(1),
            log.pop.eq(axi.bvalid),
        ]
        m.d.sync += [
            error.eq(axi.bvalid & is_error(axi.bresp) & ~flush),
            decerr.eq(is_decerr(axi.bresp)),
            reported.eq((reported | error) & ~flush),
            self.fault.eq(error & ~reported & ~flush),
            self.decerr.eq(decerr),
            self.fault_address.eq(log.answered),
        ]
