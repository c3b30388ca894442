"""Fetches the descriptor and the step table entry, and checks every field the core relies on."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.interfaces import DESCRIPTOR_LAYOUT, STEP_LAYOUT, ReadPort
from spec.config import Config
from spec.descriptor import FIELDS, MAGIC, STEP_BYTES, STEP_FIELDS
from spec.fixed import MAX_ORDER, MAX_SHIFT, RESIDUAL_SHIFT, quantised_magnitude, symmetric_max
from spec.registers import Fault

_WORD = {f.name: f.word for f in FIELDS}
_STEP_WORD = {f.name: f.word for f in STEP_FIELDS}
_NONZERO = ("height", "width", "out_height", "out_width", "words0", "out_words", "tile_rows",
            "chunk_words", "chunks", "plane_words", "timesteps")
_ADDRESSES = ("source0", "source1", "weights", "multipliers", "steps", "second", "output")


class Fetch(wiring.Component):
    """Reads the descriptor at ``address`` and the step entry of ``timestep`` into registers.

    ``start`` begins; ``done`` is high when both are in and checked, or ``fault`` is set.
    Takes two memory round trips and a cycle per check. The first bad descriptor word is reported,
    or the last bad word of the step entry.

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

    def _beats(self, bits):
        return -(-bits // self._config.bus_bits)

    def _shift_in(self, m, target, index):
        """Put the beat `index` of a structure into its register."""
        width = self._config.bus_bits
        value = target.as_value()
        with m.Switch(index):
            for i in range(self._beats(len(value))):
                with m.Case(i):
                    part = value[i * width:(i + 1) * width]
                    m.d.sync += part.eq(self.read.beat.payload)

    def _checks(self):
        """(bad, fault, field) in the order they are reported."""
        layer, config = self.layer, self._config
        yield layer.magic != MAGIC, Fault.BAD_DESCRIPTOR, "magic"
        yield layer.config_hash != config.hash, Fault.CONFIG_MISMATCH, "config_hash"
        for name, good in (
            ("order", layer.order <= MAX_ORDER),
            ("act_nibbles", (layer.act_nibbles == 1) | (layer.act_nibbles == 2)),
            ("weight_bits", (layer.weight_bits >= 2) & (layer.weight_bits <= 4)),
            ("weight_nibbles", (layer.weight_nibbles == 1) | (layer.weight_nibbles == 2)),
            ("residual", layer.residual <= 2),
            ("row_scale", ~layer.row_scale | (layer.residual == 0)),
            ("kernel", (layer.kernel == 1) | (layer.kernel == 3)),
            ("stride", (layer.stride == 1) | (layer.stride == 2)),
            ("channel_shift", layer.channel_shift <= MAX_SHIFT),
        ):
            yield ~good, Fault.BAD_DESCRIPTOR, name
        for name in _NONZERO:
            yield layer[name] == 0, Fault.BAD_DESCRIPTOR, name
        low = config.word_bytes.bit_length() - 1
        for name in _ADDRESSES:
            bad = Cat(layer[name][:low], layer[name][config.address_bits:]).any()
            yield bad, Fault.BAD_DESCRIPTOR, name
        yield self.timestep >= layer.timesteps, Fault.TIMESTEP, "timesteps"

    def _step_checks(self):
        """(good, field) of the step table entry."""
        step, low = self.step, self._config.word_bytes.bit_length() - 1
        yield step.load_multiplier != 0, "load_multiplier"
        yield step.load_shift <= MAX_SHIFT, "load_shift"
        most = Mux(self.layer.act_nibbles[1], symmetric_max(8), quantised_magnitude(4, True))
        for name in ("low", "high"):
            yield step[name] <= most, name
        yield step.step_multiplier != 0, "step_multiplier"
        yield step.step_shift <= MAX_SHIFT, "step_shift"
        yield step.residual_shift <= 2 * RESIDUAL_SHIFT, "residual_shift"
        yield ~Cat(step.bias[:low], step.bias[self._config.address_bits:]).any(), "bias"

    def _report(self, m, field):
        m.d.sync += self.fault_address.eq(self.address + 4 * _WORD[field])

    def _receive(self, m, target, following):
        """Collect the beats of `target`, then go on."""
        index = Signal(range(64), name=f"index_{following[:4].lower()}")
        m.d.comb += self.read.beat.ready.eq(1)
        with m.If(self.read.beat.valid):
            self._shift_in(m, target, index)
            m.d.sync += index.eq(index + 1)
            with m.If(index == self._beats(len(target.as_value())) - 1):
                m.d.sync += index.eq(0)
                m.next = following

    def elaborate(self, platform):
        m = Module()
        request, config = self.read.request, self._config
        check = Signal(range(64))
        entry = Signal(64)              # address of the step table entry
        m.d.comb += entry.eq(
            self.layer.steps + (self.timestep[:16] << STEP_BYTES.bit_length() - 1))
        with m.FSM():
            with m.State("IDLE"):
                low = config.word_bytes.bit_length() - 1
                misaligned = Cat(self.address[:low], self.address[config.address_bits:]).any()
                with m.If(self.start):
                    m.d.sync += [self.done.eq(0), self.fault.eq(Fault.NONE), check.eq(0)]
                    m.next = "DESCRIPTOR"
                    with m.If(misaligned):
                        self._report(m, "magic")
                        m.d.sync += [self.fault.eq(Fault.BAD_DESCRIPTOR), self.done.eq(1)]
                        m.next = "IDLE"
            with m.State("DESCRIPTOR"):
                m.d.comb += [
                    request.valid.eq(1), request.payload.address.eq(self.address),
                    request.payload.beats.eq(self._beats(DESCRIPTOR_LAYOUT.size)),
                ]
                with m.If(request.ready):
                    m.next = "DESCRIPTOR BEATS"
            with m.State("DESCRIPTOR BEATS"):
                self._receive(m, self.layer, "CHECK")
            with m.State("CHECK"):
                checks = list(self._checks())
                m.d.sync += check.eq(check + 1)
                with m.Switch(check):
                    for i, (bad, fault, field) in enumerate(checks):
                        with m.Case(i):
                            with m.If(bad):
                                self._report(m, field)
                                m.d.sync += [self.fault.eq(fault), self.done.eq(1)]
                                m.next = "IDLE"
                            with m.Elif(i == len(checks) - 1):
                                m.next = "STEP"
            with m.State("STEP"):
                m.d.comb += [
                    request.valid.eq(1), request.payload.beats.eq(self._beats(STEP_LAYOUT.size)),
                    request.payload.address.eq(entry),
                ]
                with m.If(request.ready):
                    m.next = "STEP BEATS"
            with m.State("STEP BEATS"):
                self._receive(m, self.step, "STEP CHECK")
            with m.State("STEP CHECK"):
                m.d.sync += self.done.eq(1)
                for good, field in self._step_checks():
                    with m.If(~good):
                        m.d.sync += [self.fault.eq(Fault.BAD_DESCRIPTOR),
                                     self.fault_address.eq(entry + 4 * _STEP_WORD[field])]
                m.next = "IDLE"
        return m
