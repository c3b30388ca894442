"""Streaming Hadamard transform of order 0..6 along the channels or the width."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.load.beat import Beat
from hqdm.rtl.load.butterfly import SLOT_BITS, LaneStage, TimeStage
from hqdm.spec.fixed import MAX_ORDER
from hqdm.spec.stages import TIME_STAGES, rotation_latency

CHANNEL, WIDTH = 0, 1


def _enabled(time: int, lane_stages: int, axis, order):
    """Whether time stage `time` works, for integers and for signals; `axis` is 0 or 1."""
    along_width = order >= time if time > 0 else 0
    return (axis & along_width) | ((axis ^ 1) & (order > lane_stages + time))


def exchanged(lanes: int, axis: int, order: int) -> int:
    """Value at beat t of a forward transform is that of beat `t ^ exchanged` in natural order."""
    lane_stages = lanes.bit_length() - 1
    return sum(_enabled(k, lane_stages, axis, order) << k for k in range(TIME_STAGES))


def flipped(lanes: int, axis, order):
    """Whether the stages of a forward transform negate, for integers and for signals.

    Those with a delay do if disabled, the last if enabled: an odd number of them. The first stage
    negates once more (`TimeStage`, `flip`), so that the results have their own sign.
    """
    lane_stages = lanes.bit_length() - 1
    odd = (order ^ lane_stages) & 1
    return (axis & order & 1) | ((axis ^ 1) & (order > lane_stages) & odd)


def stage_bits(lanes: int, bits: int) -> tuple[list[int], list[int], int]:
    """Widths in a forward transform of `bits`-bit numbers: (in front of each stage, lines, end).

    The least for any axis and order: 2**growth numbers are added up; one bit more where the
    most negative number may come negated.
    """
    lane_stages = lanes.bit_length() - 1
    front, lines = [bits] + [0] * (TIME_STAGES + lane_stages), [0] * TIME_STAGES
    for axis in (CHANNEL, WIDTH):
        for order in range(MAX_ORDER + 1):
            growth, negative = 0, flipped(lanes, axis, order)
            for k in range(TIME_STAGES):
                time = TIME_STAGES - 1 - k
                enabled = _enabled(time, lane_stages, axis, order)
                if enabled:
                    growth += 1
                    lines[k] = max(lines[k], bits + growth + negative)
                negative ^= (time == 0) == enabled
                front[k + 1] = max(front[k + 1], bits + growth + negative)
            assert not negative
            for k in range(lane_stages):
                growth += axis == CHANNEL and order > k
                at = TIME_STAGES + k + 1
                front[at] = max(front[at], bits + growth)
    return front[:-1], lines, front[-1]


class Hadamard(Component):
    """Unnormalised Sylvester transform (entries +1 and -1) of blocks of 2**order values.

    out[i] = sum_j (-1)**popcount(i & j) * in[j], exact.

    `axis` channel: value i of a block is lane i % lanes of beat i // lanes. `axis` width: value i
    is beat 2 * i of its lane (the two beats of a channel word are two interleaved transforms).
    Stages along time with delays 64, 32 … 1 beats come first, then stages across lanes.

    Forward takes values in natural order and gives them with the beats of each block exchanged
    (`exchanged`); the inverse takes them so and gives them in natural order. What is between the
    two works value by value. With 8 lanes, so 3 stages across lanes, the stages that work are:

        channel, order 2    two of the three across lanes: blocks of 4 lanes
        channel, order 5    all three across lanes and the delays 2 and 1: blocks of 4 beats
        width, order 2      the delays 4 and 2: blocks of 4 pixels, the two beats of each apart

    Throughput one beat per advance, no back-pressure, latency `latency(axis, order)` advances.
    A stream is whole blocks, back to back; then invalid beats, at least as many as the latency
    before `axis` or `order` may change, fewer (or none) if they stay.

    Parameters
    ----------
    lanes: numbers per beat, a power of two.
    input_bits: width of the inputs, signed.
    inverse: False or True.
    output_bits: width of the outputs; the caller vouches that the results fit. By default the
        width of any result.

    Members
    -------
    axis, order: static while a stream is in the pipeline; order at most 6.
    advance: clock enable of the whole pipeline.
    i, o: beats; `i.nibble` is constant within a block and travels along.
    next_valid: `o.valid` of the next cycle.
    """

    def __init__(self, lanes: int, input_bits: int, *, inverse: bool,
                 output_bits: int | None = None):
        self._lanes, self._input_bits, self._inverse = lanes, input_bits, inverse
        self._lane_stages = lanes.bit_length() - 1
        self._front, self._lines, full = stage_bits(lanes, input_bits)
        self._output_bits = output_bits or full
        super().__init__({
            "axis": In(1), "order": In(3), "advance": In(1),
            "i": In(Beat(lanes, input_bits)), "o": Out(Beat(lanes, self._output_bits)),
            "next_valid": Out(1),
        })

    @property
    def lanes(self) -> int:
        return self._lanes

    @property
    def output_bits(self) -> int:
        return self._output_bits

    def latency(self, axis: int, order: int) -> int:
        """Advances from a beat to its transform; `axis` CHANNEL or WIDTH."""
        return rotation_latency(self._lanes, axis, order)

    def elaborate(self, platform):
        m = Module()
        slot, next_slot, ahead = (Signal(SLOT_BITS, name=name)
                                  for name in ("slot", "next_slot", "ahead"))
        # not a register of its own: Yosys sees that slot and slot + 2 are never the same address
        m.d.comb += [next_slot.eq(slot + 1), ahead.eq(slot + 2)]
        with m.If(self.advance):
            m.d.sync += slot.eq(next_slot)
        bits = [min(b, self._output_bits) for b in [*self._front, self._output_bits]]
        beats = wiring.flipped(self.i)
        for k in range(TIME_STAGES):
            time = TIME_STAGES - 1 - k
            between_beats = TimeStage(
                self._lanes, 1 << time, bits[k], min(self._lines[k], self._output_bits),
                bits[k + 1], inverse=self._inverse, negate=time == 0,
                flips=k == 0 and not self._inverse)
            beats = self._join(m, f"time_stage{time}", beats, between_beats)
            m.d.comb += [
                between_beats.enable.eq(_enabled(time, self._lane_stages, self.axis, self.order)),
                between_beats.slot.eq(slot), between_beats.next_slot.eq(next_slot),
                between_beats.ahead.eq(ahead),
                between_beats.flip.eq(flipped(self._lanes, self.axis, self.order)),
            ]
        for k in range(self._lane_stages):
            at = TIME_STAGES + k
            between_lanes = LaneStage(self._lanes, k, bits[at], bits[at + 1])
            beats = self._join(m, f"lane_stage{k}", beats, between_lanes)
            m.d.comb += between_lanes.enable.eq((self.axis == CHANNEL) & (self.order > k))
        m.d.comb += self.next_valid.eq(Mux(self.advance, beats.valid, self.o.valid))
        m.d.sync += self.o.valid.eq(self.next_valid)
        with m.If(self.advance):
            m.d.sync += self.o.nibble.eq(beats.nibble)
            m.d.sync += [o.eq(i) for o, i in zip(self.o.data, beats.data, strict=True)]
        return m

    def _join(self, m, name: str, beats, stage: TimeStage | LaneStage):
        """`stage` as a submodule behind `beats`; returns its output."""
        m.submodules[name] = stage
        wiring.connect(m, beats, stage.i)
        m.d.comb += stage.advance.eq(self.advance)
        return stage.o
