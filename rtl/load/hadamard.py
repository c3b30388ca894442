"""Streaming Hadamard transform of order 0..6 along the channels or the width."""

from amaranth import *
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from rtl.load.beat import Beat
from spec.fixed import MAX_ORDER

CHANNEL, WIDTH = 0, 1
TIME_STAGES = MAX_ORDER + 1     # delays 1, 2, 4 … 64 beats


def _enabled(time, lane_stages, axis, order):
    """Whether time stage `time` works, for integers and for signals; `axis` is 0 or 1."""
    along_width = order >= time if time > 0 else 0
    return (axis & along_width) | ((axis ^ 1) & (order > lane_stages + time))


def latency(lanes, axis, order):
    """Advances from a beat to its transform: 1 per stage and the delays of the enabled ones."""
    lane_stages = lanes.bit_length() - 1
    return lane_stages + sum(
        1 + _enabled(k, lane_stages, axis, order) * (1 << k) for k in range(TIME_STAGES))


class LaneStage(wiring.Component):
    """Butterfly between the lanes l and l + 2**bit; adds one bit; latency 1 advance.

    Members
    -------
    enable: static; a disabled stage hands its input on.
    advance: clock enable of everything in the pipeline.
    i, o: beats.
    """

    def __init__(self, lanes, bit, input_bits, output_bits):
        self._lanes, self._bit = lanes, bit
        super().__init__({
            "enable": In(1), "advance": In(1),
            "i": In(Beat(lanes, input_bits)), "o": Out(Beat(lanes, output_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        stride = 1 << self._bit
        with m.If(self.advance):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.nibble.eq(self.i.nibble)]
            for lane in range(self._lanes):
                a, b = self.i.data[lane], self.i.data[lane ^ stride]
                result = b - a if lane & stride else a + b
                m.d.sync += self.o.data[lane].eq(Mux(self.enable, result, a))
        return m


class BlockPhase(wiring.Component):
    """Control of one time stage: which half of a block passes, and what leaves the line.

    The phase counts valid beats. It rests at 0 between blocks, where any number of invalid beats
    may pass: they push the last differences out. `held` counts the differences in the line, so
    the line itself needs neither valid bits nor a reset.

    Members
    -------
    enable, advance, valid, nibble: of the stage and its input.
    second: the second half of a block. o_valid, o_nibble: of what leaves the stage.
    """

    def __init__(self, delay):
        self._delay = delay
        super().__init__({
            "enable": In(1), "advance": In(1), "valid": In(1), "nibble": In(1),
            "second": Out(1), "o_valid": Out(1), "o_nibble": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        phase = Signal(range(2 * self._delay))
        held = Signal(range(self._delay + 1))
        held_nibble = Signal()
        m.d.comb += [
            self.second.eq(phase[-1]),
            self.o_valid.eq(Mux(self.enable, self.second | held.any(), self.valid)),
            self.o_nibble.eq(Mux(self.enable & ~self.second, held_nibble, self.nibble)),
        ]
        with m.If(self.advance & self.enable):
            with m.If(held.any() & ~self.second):
                m.d.sync += held.eq(held - 1)
            with m.If(self.valid):
                m.d.sync += phase.eq(phase + 1)
                with m.If(phase.all()):
                    m.d.sync += [held.eq(self._delay), held_nibble.eq(self.nibble)]
        return m


class TimeStage(wiring.Component):
    """Butterfly between the beats t and t + delay of every block of 2 * delay beats.

    A single-path delay-feedback stage: the first half of a block enters the delay line while the
    differences of the block before leave it; in the second half the sums leave at once and the
    differences enter the line. So the stage is busy every beat and holds `delay` beats.
    Adds one bit; latency delay + 1 advances, 1 when disabled; one beat per advance.

    Parameters
    ----------
    delay: a power of two. From 4 on the line is a circular buffer in memory.

    Members
    -------
    enable: static; a disabled stage hands its input on.
    advance: clock enable of everything in the pipeline.
    slot, next_slot: advances since reset, and one more: positions in the circular buffer.
    i, o: beats; `i.nibble` is constant within a block.
    """

    def __init__(self, lanes, delay, input_bits, output_bits):
        self._lanes, self._delay = lanes, delay
        super().__init__({
            "enable": In(1), "advance": In(1), "slot": In(MAX_ORDER), "next_slot": In(MAX_ORDER),
            "i": In(Beat(lanes, input_bits)), "o": Out(Beat(lanes, output_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.phase = phase = BlockPhase(self._delay)
        m.d.comb += [
            phase.enable.eq(self.enable), phase.advance.eq(self.advance),
            phase.valid.eq(self.i.valid), phase.nibble.eq(self.i.nibble),
        ]
        with m.If(self.advance):
            m.d.sync += [self.o.valid.eq(phase.o_valid), self.o.nibble.eq(phase.o_nibble)]
        for lane in range(self._lanes):
            x, out = self.i.data[lane], self.o.data[lane]
            entering = Signal(out.shape(), name=f"entering{lane}")
            leaving = self._line(m, lane, entering)
            m.d.comb += entering.eq(Mux(phase.second, leaving - x, x))
            with m.If(self.advance):
                m.d.sync += out.eq(
                    Mux(self.enable, Mux(phase.second, leaving + x, leaving), x))
        return m

    def _line(self, m, lane, entering):
        """Delay `entering` by `delay` advances; returns what leaves."""
        if self._delay < 4:
            for i in range(self._delay):
                held, entering = entering, Signal(entering.shape(), name=f"line{lane}_{i}")
                with m.If(self.advance & self.enable):
                    m.d.sync += entering.eq(held)
            return entering
        line = memory.Memory(shape=entering.shape(), depth=self._delay, init=[])
        m.submodules[f"line{lane}"] = line
        write, read = line.write_port(), line.read_port()
        # What is read at this clock edge leaves during the next advance, when its slot is
        # overwritten: the two addresses always differ.
        m.d.comb += [
            write.en.eq(self.advance & self.enable), write.addr.eq(self.slot),
            write.data.eq(entering),
            read.en.eq(self.advance & self.enable), read.addr.eq(self.next_slot),
        ]
        return read.data


class Hadamard(wiring.Component):
    """Unnormalised Sylvester transform (entries +1 and -1) of blocks of 2**order values.

    out[i] = sum_j (-1)**popcount(i & j) * in[j], natural order, exact.

    `axis` channel: value i of a block is lane i % lanes of beat i // lanes. `axis` width: value i
    is beat 2 * i of its lane (the two beats of a channel word are two interleaved transforms).
    Stages across lanes come first, then stages along time with delays 1, 2, 4 … 64 beats.

    Throughput one beat per advance, no back-pressure, latency `latency(axis, order)` advances.
    A stream is whole blocks, back to back; then invalid beats, at least as many as the latency
    before `axis` or `order` may change, fewer (or none) if they stay.

    Parameters
    ----------
    lanes: numbers per beat, a power of two.
    input_bits: width of the inputs, signed.
    output_bits: width of the outputs; the caller vouches that the results fit.

    Members
    -------
    axis, order: static while a stream is in the pipeline; order at most 6.
    advance: clock enable of the whole pipeline.
    i, o: beats; `i.nibble` is constant within a block and travels along.
    """

    def __init__(self, lanes, input_bits, output_bits):
        self._lanes, self._input_bits, self._output_bits = lanes, input_bits, output_bits
        self._lane_stages = lanes.bit_length() - 1
        super().__init__({
            "axis": In(1), "order": In(3), "advance": In(1),
            "i": In(Beat(lanes, input_bits)), "o": Out(Beat(lanes, output_bits)),
        })

    @property
    def lanes(self):
        return self._lanes

    def latency(self, axis, order):
        """Advances from a beat to its transform; `axis` CHANNEL or WIDTH."""
        return latency(self._lanes, axis, order)

    def _bits(self, k):
        """Width in front of stage k: one more bit per stage, up to the full width."""
        if k == self._lane_stages + TIME_STAGES:
            return self._output_bits
        return min(self._input_bits + min(k, MAX_ORDER), self._output_bits)

    def elaborate(self, platform):
        m = Module()
        slot, next_slot = Signal(MAX_ORDER), Signal(MAX_ORDER)
        m.d.comb += next_slot.eq(slot + 1)
        with m.If(self.advance):
            m.d.sync += slot.eq(next_slot)
        beats = wiring.flipped(self.i)
        for k in range(self._lane_stages):
            stage = LaneStage(self._lanes, k, self._bits(k), self._bits(k + 1))
            beats = self._join(m, f"lane_stage{k}", beats, stage)
            m.d.comb += stage.enable.eq((self.axis == CHANNEL) & (self.order > k))
        for k in range(TIME_STAGES):
            before, after = (self._bits(self._lane_stages + j) for j in (k, k + 1))
            stage = TimeStage(self._lanes, 1 << k, before, after)
            beats = self._join(m, f"time_stage{k}", beats, stage)
            m.d.comb += [
                stage.enable.eq(_enabled(k, self._lane_stages, self.axis, self.order)),
                stage.slot.eq(slot), stage.next_slot.eq(next_slot),
            ]
        wiring.connect(m, beats, wiring.flipped(self.o))
        return m

    def _join(self, m, name, beats, stage):
        m.submodules[name] = stage
        wiring.connect(m, beats, stage.i)
        m.d.comb += stage.advance.eq(self.advance)
        return stage.o
