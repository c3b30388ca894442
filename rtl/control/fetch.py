"""Fetches the descriptor and the step table entry, and checks every field the core relies on."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.control.checks import FIELD, WordCheck
from rtl.interfaces import DESCRIPTOR_LAYOUT, STEP_LAYOUT, ReadPort
from spec.config import Config
from spec.descriptor import STEP_BYTES
from spec.registers import Fault

WORD_BITS = 32


class Fetch(wiring.Component):
    """Reads the descriptor at ``address`` and the step entry of ``timestep`` into registers.

    ``start`` begins; ``done`` is high when both are in and checked, or ``fault`` is set.
    Takes two memory round trips and a cycle per 32-bit word, which is kept and checked as it
    comes. The first bad word of the descriptor, or else of the step entry, is reported.

    Members
    -------
    address, timestep: from the registers. read: memory. layer, step: the fetched structures.
    fault, fault_address: a `Fault` code and the address of the offending word.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "start": In(1), "address": In(64), "timestep": In(32),
            "read": Out(ReadPort(config)),
            "layer": Out(DESCRIPTOR_LAYOUT), "step": Out(STEP_LAYOUT),
            "done": Out(1), "fault": Out(Fault), "fault_address": Out(64),
        })

    def _beats(self, layout):
        return -(-layout.size // self._config.bus_bits)

    def _receive(self, m, receiving, entry):
        """A word of the oldest beat per cycle; returns the word, its index, "valid", "last"."""
        beat, per_beat = self.read.beat, self._config.bus_bits // WORD_BITS
        count, final = Signal(5), Signal()
        word, index, valid, last = Signal(WORD_BITS), Signal(5), Signal(), Signal()
        lowest = count[:per_beat.bit_length() - 1]
        m.d.comb += [
            final.eq(count == Mux(entry, STEP_LAYOUT.size // WORD_BITS - 1,
                                  DESCRIPTOR_LAYOUT.size // WORD_BITS - 1)),
            beat.ready.eq(receiving & (final | lowest.all())),
        ]
        m.d.sync += [
            word.eq(beat.payload.word_select(lowest, WORD_BITS)), index.eq(count),
            valid.eq(receiving & beat.valid), last.eq(receiving & beat.valid & final),
        ]
        with m.If(receiving & beat.valid):
            m.d.sync += count.eq(Mux(final, 0, count + 1))
        return word, index, valid, last

    def _keep(self, m, entry, word, index, valid):
        """Put the word where it belongs."""
        for target, mine in ((self.layer, ~entry), (self.step, entry)):
            value = target.as_value()
            with m.If(valid & mine), m.Switch(index):
                for i in range(len(value) // WORD_BITS):
                    with m.Case(i):
                        m.d.sync += value.word_select(i, WORD_BITS).eq(word)

    def _check(self, m, entry, word, index, valid, last):
        """The first bad word; returns "the last word has been checked" and "too late"."""
        m.submodules.check = check = WordCheck(self._config)
        m.d.comb += [
            check.word.eq(word), check.index.eq(index), check.entry.eq(entry),
            check.timestep.eq(self.timestep), check.two_passes.eq(self.layer.act_nibbles[1]),
        ]
        for k in range(check.latency):
            later = [Signal(name=f"{name}_{k}") for name in ("valid", "last")]
            m.d.sync += [later[0].eq(valid), later[1].eq(last)]
            valid, last = later
        late, ended = Signal(), Signal()
        m.d.sync += [late.eq((late | (check.late & valid)) & ~self.start), ended.eq(last)]
        with m.If(valid & check.bad & (self.fault == Fault.NONE)):
            mismatch = ~entry & (check.field == FIELD["config_hash"].word)
            m.d.sync += [
                self.fault.eq(Mux(mismatch, Fault.CONFIG_MISMATCH, Fault.BAD_DESCRIPTOR)),
                self._word.eq(check.field)]
        return ended, late

    def _request(self, m, entry, base):
        """The read of the descriptor or of the entry."""
        request = self.read.request
        beats = Mux(entry, self._beats(STEP_LAYOUT), self._beats(DESCRIPTOR_LAYOUT))
        m.d.comb += [request.payload.address.eq(base), request.payload.beats.eq(beats)]

    def elaborate(self, platform):
        m = Module()
        config, request = self._config, self.read.request
        entry, receiving = Signal(), Signal()
        base = Signal(config.address_bits)              # of what is read
        self._word = Signal(5, name="bad_word")
        m.d.comb += self.fault_address.eq(
            Cat((base + (self._word << 2))[:config.address_bits],
                self.address[config.address_bits:]))
        word, index, valid, last = self._receive(m, receiving, entry)
        self._keep(m, entry, word, index, valid)
        self._request(m, entry, base)
        low = config.word_bytes.bit_length() - 1
        misaligned = Cat(self.address[:low], self.address[config.address_bits:]).any()
        ended, late = self._check(m, entry, word, index, valid, last)
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [
                        self.done.eq(misaligned), base.eq(self.address), self._word.eq(0),
                        self.fault.eq(Mux(misaligned, Fault.BAD_DESCRIPTOR, Fault.NONE)),
                        entry.eq(0)]
                    with m.If(~misaligned):
                        m.next = "REQUEST"
            with m.State("REQUEST"):
                m.d.comb += request.valid.eq(1)
                with m.If(request.ready):
                    m.next = "WORDS"
            with m.State("WORDS"):
                m.d.comb += receiving.eq(1)
                with m.If(last):
                    m.d.comb += receiving.eq(0)
                    m.next = "CHECK"
            with m.State("CHECK"):
                with m.If(ended):
                    m.next = "IDLE"
                    with m.If(entry | (self.fault != Fault.NONE)):
                        m.d.sync += self.done.eq(1)
                    with m.Elif(late):
                        m.d.sync += [self.done.eq(1), self.fault.eq(Fault.TIMESTEP),
                                     self._word.eq(FIELD["timesteps"].word)]
                    with m.Else():
                        m.d.sync += [entry.eq(1), base.eq(
                            self.layer.steps + (self.timestep[:16]
                                                << STEP_BYTES.bit_length() - 1))]
                        m.next = "REQUEST"
        return m
