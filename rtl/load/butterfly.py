"""The stages of the streaming Hadamard: butterflies between lanes and between beats."""

from typing import Any

from amaranth import *
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.load.beat import Beat
from hqdm.rtl.memories import memory
from hqdm.spec.fixed import MAX_ORDER

SLOT_BITS = MAX_ORDER   # the longest line holds 2**MAX_ORDER beats
LINE_IN_MEMORY = 16     # shorter lines are registers


def _registers(lanes: int, bits: int, name: str) -> list[Signal]:
    return [Signal(signed(bits), name=f"{name}{lane}", reset_less=True) for lane in range(lanes)]


class LaneStage(Component):
    """Butterfly between the lanes l and l + 2**bit; adds one bit; latency 1 advance.

    With bit 0 (left) and bit 1 (right), for four lanes a b c d:

        a  ->  a + b        a  ->  a + c
        b  ->  a - b        b  ->  b + d
        c  ->  c + d        c  ->  a - c
        d  ->  c - d        d  ->  b - d

    The registers are in front of the adders. What is added to lane l when the stage is enabled
    is a copy of lane l + 2**bit that is cleared when it is not: so a sum needs no multiplexer.

    Members
    -------
    enable: static; a disabled stage hands its input on.
    advance: clock enable of everything in the pipeline.
    i, o: beats.
    """

    def __init__(self, lanes: int, bit: int, input_bits: int, output_bits: int):
        self._lanes, self._bit, self._input_bits = lanes, bit, input_bits
        super().__init__({
            "enable": In(1), "advance": In(1),
            "i": In(Beat(lanes, input_bits)), "o": Out(Beat(lanes, output_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        stride = 1 << self._bit
        x = _registers(self._lanes, self._input_bits, "x")
        masked = _registers(self._lanes, self._input_bits, "masked")
        with m.If(self.advance):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.nibble.eq(self.i.nibble)]
            for lane, data in enumerate(self.i.data):
                m.d.sync += [x[lane].eq(data), masked[lane].eq(data)]
        with m.If(~self.enable):
            m.d.sync += [copy.eq(0) for copy in masked]
        for lane, out in enumerate(self.o.data):
            if lane & stride:
                m.d.comb += out.eq(Mux(self.enable, x[lane ^ stride] - x[lane], x[lane]))
            else:
                m.d.comb += out.eq(x[lane] + masked[lane ^ stride])
        return m


class BlockPhase(Component):
    """Control of one time stage: which half of a block comes in, and what leaves the line.

    A run of two blocks, with a delay of 2, and nothing after it:

        beat        a a b b a a b b . . .
        second      . . 1 1 . . 1 1 . . .   a + b goes into the line, a - b leaves at once
        leaving     . . . . 1 1 . . 1 1 .   a + b leaves the line

    `o_valid` is one or the other, an advance later.

    Beats of a run come one per advance, so a beat is the first of its half if `slot`, the count
    of advances, is what it was for the first beat of the run, modulo `delay`: two places to keep
    and to compare, and no counter. What a block leaves in the line follows in the `delay`
    advances after it, be they beats of the next block, of the next run or of none; so the line
    itself needs neither valid bits nor a reset.

    Members
    -------
    enable, advance, slot, next_slot, valid, nibble: of the stage and its input.
    second: the beat that comes in belongs to the second half of a block; a register.
    o_valid, o_nibble: of what leaves the stage, one advance later.
    """

    def __init__(self, delay: int):
        self._delay = delay
        super().__init__({
            "enable": In(1), "advance": In(1), "slot": In(SLOT_BITS), "next_slot": In(SLOT_BITS),
            "valid": In(1), "nibble": In(1),
            "second": Out(1), "o_valid": Out(1), "o_nibble": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        bits = self._delay.bit_length() - 1
        slot, next_slot = self.slot[:bits], self.next_slot[:bits]
        begin, end = Signal.like(slot, name="begin"), Signal.like(slot, name="end")
        running, half = Signal(), Signal()      # in a run; the beat before was in a second half
        held, leaving = Signal(), Signal()      # what the block before has left leaves the line
        nibble = Signal()
        # The next beat is of the other half if it is the first of its half. `second` is the
        # register that says it of this beat, so the comparison is with the count of the next.
        other = Mux(running, next_slot == begin, self._delay == 1)
        m.d.comb += leaving.eq((half & ~self.second) | (held & (slot != end)))
        with m.If(self.advance):
            m.d.sync += [
                self.second.eq(self.enable & self.valid & (self.second ^ other)),
                running.eq(self.enable & self.valid), half.eq(self.second), held.eq(leaving),
                self.o_valid.eq(Mux(self.enable, self.second | leaving, self.valid)),
                self.o_nibble.eq(Mux(self.enable & ~self.second, nibble, self.nibble)),
            ]
            with m.If(~running):
                m.d.sync += begin.eq(slot)
            with m.If(half & ~self.second):
                m.d.sync += end.eq(slot)
            with m.If(self.second):
                m.d.sync += nibble.eq(self.nibble)
        return m


class TimeStage(Component):
    """Butterfly between the beats t and t + delay of every block of 2 * delay beats.

    A single-path delay-feedback stage: the first half of a block, a, enters the delay line while
    what the block before has left there leaves; while the second half, b, comes in, one of a + b
    and a - b leaves at once and the other enters the line. Which, is chosen so that neither adder
    needs a multiplexer (a register that a static or a periodic signal clears costs nothing):

        first half        enters x = a              leaves the line
        forward, second   enters x + line = a + b   leaves line - x = a - b
        inverse, second   enters x - line = b - a   leaves line + x = b + a

    Forward, the halves come out exchanged, a - b before a + b; the inverse takes them so, and
    gives the halves in natural order: what comes first is b, of the pair (a, b) = (x1, x0).
    Forward, two blocks with a delay of 2, by what stands in the registers behind the input:

        x           a0    a1    b0    b1    A0    A1    B0    B1
        enters      a0    a1    a0+b0 a1+b1 A0    A1    A0+B0 A1+B1
        line        .     .     a0    a1    a0+b0 a1+b1 A0    A1        what entered 2 before
        o           .     .     a0-b0 a1-b1 a0+b0 a1+b1 A0-B0 A1-B1

    Adds one bit; latency delay + 1 advances, 1 when disabled; one beat per advance.

    Parameters
    ----------
    delay: a power of two. From LINE_IN_MEMORY on the line is a circular buffer in block memory.
    line_bits: width of what enters the line.
    inverse: False or True. negate: give (forward only) x - line instead of line - x; so the
        numbers of an enabled stage come out negated, and without `negate` those of a disabled one.
    flips: with `flip`, the input is negated first.

    Members
    -------
    enable: static; a disabled stage hands its input on (negated: see `negate`).
    advance: clock enable of everything in the pipeline.
    slot, next_slot, ahead: advances since reset, one and two more: positions in the line.
    flip: static.
    i, o: beats; `i.nibble` is constant within a block.
    """

    def __init__(self, lanes: int, delay: int, input_bits: int, line_bits: int, output_bits: int,
                 *, inverse: bool, negate: bool = False, flips: bool = False):
        self._lanes, self._delay = lanes, delay
        self._input_bits, self._line_bits = input_bits, line_bits
        self._inverse, self._negate, self._flips = inverse, negate, flips
        super().__init__({
            "enable": In(1), "advance": In(1), "slot": In(SLOT_BITS), "next_slot": In(SLOT_BITS),
            "ahead": In(SLOT_BITS), "flip": In(1),
            "i": In(Beat(lanes, input_bits)), "o": Out(Beat(lanes, output_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.phase = phase = BlockPhase(self._delay)
        m.d.comb += [
            phase.enable.eq(self.enable), phase.advance.eq(self.advance),
            phase.slot.eq(self.slot), phase.next_slot.eq(self.next_slot),
            phase.valid.eq(self.i.valid), phase.nibble.eq(self.i.nibble),
            self.o.valid.eq(phase.o_valid), self.o.nibble.eq(phase.o_nibble),
        ]
        second = phase.second
        entering = [Signal(signed(self._line_bits), name=f"entering{lane}")
                    for lane in range(self._lanes)]
        leaving = self._line(m, entering)
        inputs = [self._flipped(data) for data in self.i.data]
        x = _registers(self._lanes, len(inputs[0]), "x")
        shown = _registers(self._lanes, len(inputs[0]), "shown")    # x, if it leaves at once
        line = _registers(self._lanes, self._line_bits, "line")
        kept = _registers(self._lanes, self._line_bits, "kept")     # line, if it enters again
        with m.If(self.advance):
            m.d.sync += [reg.eq(value) for reg, value in zip(
                [*x, *shown, *line, *kept], [*inputs, *inputs, *leaving, *leaving],
                strict=True)]
        with m.If(self.advance & self.enable & ~second):
            m.d.sync += [reg.eq(0) for reg in shown]
        with m.If(self.advance & ~second):
            m.d.sync += [reg.eq(0) for reg in kept]
        with m.If(~self.enable):
            m.d.sync += [reg.eq(0) for reg in line]
        for lane, out in enumerate(self.o.data):
            m.d.comb += [entering[lane].eq(self._entering(x[lane], kept[lane])),
                         out.eq(self._leaving(shown[lane], line[lane]))]
        return m

    def _flipped(self, data):
        """2 * data, or with `flip` -2 * data - 1: the complement of data with a 1 below it.

        -data is the complement plus 1, which would take an adder of its own. Here 1 of 2 is
        missing, and the stage's adder settles it: a sum has a 1 below `kept`, and a difference
        drops what is left over.
        """
        if not self._flips:
            return data
        return Cat(self.flip, data.as_unsigned() ^ self.flip.replicate(len(data))).as_signed()

    def _entering(self, x, kept):
        if self._flips:
            return (x + Cat(C(1, 1), kept).as_signed()) >> 1
        return x - kept if self._inverse else x + kept

    def _leaving(self, shown, line):
        if self._flips:
            return (Cat(C(0, 1), line).as_signed() - shown) >> 1
        if self._inverse:
            return line + shown
        return shown - line if self._negate else line - shown

    def _line(self, m, entering: list[Any]) -> list[Any]:
        """What `entering` was `delay - 1` advances ago: it is to be registered once more."""
        if self._delay < LINE_IN_MEMORY:
            for k in range(self._delay - 1):
                held = _registers(self._lanes, self._line_bits, f"line{k}_")
                with m.If(self.advance):
                    m.d.sync += [reg.eq(value) for reg, value in zip(held, entering, strict=True)]
                entering = held
            return entering
        bits = self._line_bits
        # `ahead` is two slots on, modulo `delay`: what is read there was written `delay - 2`
        # advances ago. The memory's register and `line` are the other two.
        m.submodules.line = line = memory(
            unsigned(self._lanes * bits), self._delay, ram_style="block")
        write, read = line.write_port(), line.read_port()
        m.d.comb += [
            write.en.eq(self.advance), write.addr.eq(self.slot), write.data.eq(Cat(entering)),
            read.en.eq(self.advance), read.addr.eq(self.ahead),
        ]
        return [read.data[bits * lane:bits * (lane + 1)].as_signed()
                for lane in range(self._lanes)]
