"""Fetches the descriptor and the step table entry, and checks every field the core relies on."""

from typing import Any, NamedTuple

from amaranth import *
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.control.checks import WordCheck
from hqdm.rtl.interfaces import DESCRIPTOR_LAYOUT, STEP_LAYOUT, ReadPort
from hqdm.rtl.modes import two_act_nibbles
from hqdm.spec.config import Config
from hqdm.spec.descriptor import FIELD, STEP_BYTES
from hqdm.spec.registers import Fault

WORD_BITS = 32
# A word of the descriptor or of the step table entry, and its number.
WORD = data.StructLayout({"bits": WORD_BITS, "index": 5, "entry": 1, "valid": 1})


class Blame(NamedTuple):
    """The word that `fault_address` points at."""

    base: Signal    # address of the structure it is in
    word: Signal    # its number


class Checked(NamedTuple):
    """What the checks say: `ended` after the last word, `known` after the word `timesteps`."""

    ended: Value
    known: Value    # where the step entry is, and that there is one, has just been checked
    late: Value     # there is no entry for this timestep


class Fetch(Component):
    """Reads the descriptor at ``address`` and the step entry of ``timestep`` into registers.

    ``start`` begins; ``done`` is high when both are in and checked, or ``fault`` is set. The entry
    is asked for as soon as the descriptor's words up to ``timesteps`` are in and good, so that its
    round trip passes while the rest still comes. A cycle per 32-bit word, which is kept and
    checked as it comes. The first bad word of the descriptor, or else of the step entry, is
    reported; what was asked for is taken all the same.

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

    def _beats(self, layout: Any) -> int:
        return -(-layout.size // self._config.bus_bits)

    def _receive(self, m, receiving, entry):
        """A word of the oldest beat per cycle; returns the word and "the last word is taken"."""
        beat, per_beat = self.read.beat, self._config.bus_bits // WORD_BITS
        count, final = Signal(5), Signal()
        word: Any = Signal(WORD)
        lowest = count[:per_beat.bit_length() - 1]
        m.d.comb += [
            final.eq(count == Mux(entry, STEP_LAYOUT.size // WORD_BITS - 1,
                                  DESCRIPTOR_LAYOUT.size // WORD_BITS - 1)),
            # a beat is taken with its last word, and with the last word of all
            beat.ready.eq(receiving & (final | lowest.all())),
        ]
        m.d.sync += [
            word.bits.eq(beat.payload.word_select(lowest, WORD_BITS)), word.index.eq(count),
            word.entry.eq(entry), word.valid.eq(receiving & beat.valid),
        ]
        with m.If(receiving & beat.valid):
            m.d.sync += count.eq(Mux(final, 0, count + 1))
        return word, receiving & beat.valid & final

    def _keep(self, m, word):
        """Put the word where it belongs."""
        for target, mine in ((self.layer, ~word.entry), (self.step, word.entry)):
            value = target.as_value()
            with m.If(word.valid & mine), m.Switch(word.index):
                for i in range(len(value) // WORD_BITS):
                    with m.Case(i):
                        m.d.sync += value.word_select(i, WORD_BITS).eq(word.bits)

    def _check(self, m, word, taken, entry_base, blame: Blame) -> Checked:
        """The first bad word goes to `blame`; `taken`: the last word is taken."""
        m.submodules.check = check = WordCheck(self._config)
        m.d.comb += [
            check.word.eq(word.bits), check.index.eq(word.index), check.entry.eq(word.entry),
            check.timestep.eq(self.timestep), check.two_passes.eq(two_act_nibbles(self.layer)),
        ]
        valid, entry, last = word.valid, word.entry, Signal()
        m.d.sync += last.eq(taken)
        for k in range(check.latency):
            later = [Signal(name=f"{name}_{k}") for name in ("valid", "entry", "last")]
            m.d.sync += [a.eq(b) for a, b in zip(later, (valid, entry, last), strict=True)]
            valid, entry, last = later
        late, ended = Signal(), Signal()
        m.d.sync += [late.eq((late | (check.late & valid)) & ~self.start), ended.eq(last)]
        good = (self.fault == Fault.NONE) & ~check.bad
        with m.If(valid & check.bad & (self.fault == Fault.NONE)):
            mismatch = ~entry & (check.field == FIELD["config_hash"].word)
            m.d.sync += [
                self.fault.eq(Mux(mismatch, Fault.CONFIG_MISMATCH, Fault.BAD_DESCRIPTOR)),
                blame.word.eq(check.field)]
            with m.If(entry):
                m.d.sync += blame.base.eq(entry_base)
        known = valid & ~entry & (check.field == FIELD["timesteps"].word) & good & ~check.late
        return Checked(ended, known, late)

    def elaborate(self, platform):
        m = Module()
        config, request = self._config, self.read.request
        entry, receiving, asking, asked = Signal(), Signal(), Signal(), Signal()
        entry_base = Signal(config.address_bits)
        blame = Blame(Signal(config.address_bits, name="base"), Signal(5, name="bad_word"))
        m.d.comb += [
            self.fault_address.eq(Cat((blame.base + (blame.word << 2))[:config.address_bits],
                                      self.address[config.address_bits:])),
            request.payload.address.eq(Mux(asking, entry_base, self.address)),
            request.payload.beats.eq(Mux(asking, self._beats(STEP_LAYOUT),
                                         self._beats(DESCRIPTOR_LAYOUT))),
        ]
        m.d.sync += entry_base.eq(
            self.layer.steps + (self.timestep[:16] << STEP_BYTES.bit_length() - 1))
        word, taken = self._receive(m, receiving, entry)
        self._keep(m, word)
        low = config.word_bytes.bit_length() - 1
        misaligned = Cat(self.address[:low], self.address[config.address_bits:]).any()
        over = taken & (entry | ~asked)
        checked = self._check(m, word, over, entry_base, blame)
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.start):
                    m.d.sync += [
                        self.done.eq(misaligned), blame.base.eq(self.address), blame.word.eq(0),
                        self.fault.eq(Mux(misaligned, Fault.BAD_DESCRIPTOR, Fault.NONE)),
                        entry.eq(0), asked.eq(0)]
                    with m.If(~misaligned):
                        m.next = "REQUEST"
            with m.State("REQUEST"):
                m.d.comb += request.valid.eq(1)
                with m.If(request.ready):
                    m.next = "WORDS"
            with m.State("WORDS"):
                m.d.comb += [receiving.eq(1), request.valid.eq(asking)]
                with m.If(request.ready):
                    m.d.sync += asking.eq(0)
                with m.If(checked.known):
                    m.d.sync += [asking.eq(1), asked.eq(1)]
                with m.If(taken):
                    m.d.sync += entry.eq(1)
                with m.If(over):
                    m.next = "CHECK"
            with m.State("CHECK"):
                with m.If(checked.ended):
                    m.next = "IDLE"
                    m.d.sync += self.done.eq(1)
                    with m.If(checked.late & (self.fault == Fault.NONE)):
                        m.d.sync += [self.fault.eq(Fault.TIMESTEP),
                                     blame.word.eq(FIELD["timesteps"].word)]
        return m
