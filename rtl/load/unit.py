"""The load unit: memory to rotated, quantised, rotated-back operands in the operand buffer."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from hqdm.rtl.component import Component
from hqdm.rtl.interfaces import DESCRIPTOR_LAYOUT, STEP_LAYOUT, OperandWrite, ReadPort
from hqdm.rtl.load.beat import Beat
from hqdm.rtl.load.hadamard import Hadamard
from hqdm.rtl.load.quantise import Quantiser
from hqdm.rtl.load.queue import ChunkQueue
from hqdm.rtl.load.requests import LoadRequests
from hqdm.rtl.load.walk import BeatCounter
from hqdm.rtl.load.writer import OperandWriter
from hqdm.rtl.modes import two_act_nibbles
from hqdm.spec.config import Config
from hqdm.spec.fixed import CARRIER_BITS, QUANTISED_BITS
from hqdm.spec.stages import LOAD, in_core


class LoadUnit(Component):
    """Fills the operand buffer, chunk by chunk: u = clamp(rhe(x * H * m, s), low, high) * H.

    Three counters walk the same loops: `LoadRequests` runs ahead, the data side tags the beats
    as they arrive, `OperandWriter` follows later, by `hqdm.spec.stages.load_latency`. In between
    is a pipeline with one clock enable, `advance`, a register. It moves a cycle after every beat of
    memory, and without one only between chunks, where it flushes (or begins the next chunk, if its
    data are there).

    One beat per cycle while memory delivers and a half of the buffer is free. Back-pressure: the
    pipeline stops at the first operand of a chunk until `bank_free`.

    Parameters
    ----------
    config: configuration of the core.

    Members
    -------
    layer, step: static while the layer runs. start: one cycle, begins the layer.
    read: memory. write: operand buffer.
    bank_free: the next half of the buffer may be written, level, valid the cycle after
        `bank_done`. bank_done: one cycle, the half is complete; the unit goes on to the other.
    done: every chunk of the layer is in the buffer, until `start`.
    overflow: a word beyond the buffer was to be written, until `start`.
    waiting_memory: a beat is wanted and memory has none.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "step": In(STEP_LAYOUT), "start": In(1),
            "read": Out(ReadPort(config)), "write": Out(OperandWrite(config)),
            "bank_free": In(1), "bank_done": Out(1), "done": Out(1), "overflow": Out(1),
            "waiting_memory": Out(1),
        })

    @property
    def config(self) -> Config:
        return self._config

    def elaborate(self, platform):
        m = Module()
        layer = self.layer
        m.submodules.requests = requests = LoadRequests(self._config)
        m.submodules.queue = queue = ChunkQueue()
        m.submodules.walk = walk = BeatCounter()
        m.submodules.writer = writer = OperandWriter(self._config)
        connect(m, requests.request, wiring.flipped(self.read.request))
        connect(m, writer.write, wiring.flipped(self.write))
        for part in (requests, writer):
            m.d.comb += [part.layer.eq(layer), part.start.eq(self.start)]
        m.d.comb += [queue.i_valid.eq(requests.chunk_valid), queue.i.eq(requests.chunk),
                     requests.full.eq(queue.full)]

        advance, stopped = Signal(), Signal()
        beats = Beat(self._config.lanes, CARRIER_BITS).create()
        operands, next_valid = self._pipeline(m, beats, advance)
        # A beat at the end stops the pipeline; where there is none, nothing is lost by going on.
        m.d.comb += stopped.eq(next_valid & ~writer.ready)
        self._take_beats(m, walk, beats, stopped)
        self._move(m, walk, writer, advance, stopped)
        offered = self._hand_over(m, queue, walk, writer)
        connect(m, operands, writer.i)
        m.d.comb += [
            walk.layer.eq(layer), writer.offer.eq(offered), writer.i_chunk.eq(walk.chunk),
            writer.advance.eq(advance), writer.bank_free.eq(self.bank_free),
            self.bank_done.eq(writer.bank_done), self.done.eq(writer.done),
            self.overflow.eq(writer.overflow),
        ]
        return m

    def _pipeline(self, m, beats, advance) -> tuple[Any, Value]:
        """The stages of `LOAD` in order; the last one's output, and its `valid` of the next cycle.

        Each takes and gives a `Beat` per advance, so that one more only adds to the latency.
        """
        config, layer, step = self._config, self.layer, self.step
        rotate = Hadamard(config.lanes, CARRIER_BITS, inverse=False)
        quantise = Quantiser(config.lanes, rotate.output_bits)
        rotate_back = Hadamard(config.lanes, QUANTISED_BITS, inverse=True,
                               output_bits=config.operand_bits)
        units = {"rotate": rotate, "quantise": quantise, "rotate back": rotate_back}
        for stage in in_core(LOAD):
            m.submodules[stage.key] = unit = units[stage.name]
            connect(m, beats, unit.i)
            m.d.comb += unit.advance.eq(advance)
            beats = unit.o
        for hadamard in (rotate, rotate_back):
            m.d.comb += [hadamard.axis.eq(layer.axis), hadamard.order.eq(layer.order)]
        m.d.comb += [
            quantise.multiplier.eq(step.load_multiplier), quantise.shift.eq(step.load_shift),
            quantise.low.eq(step.low), quantise.high.eq(step.high),
            quantise.split.eq(two_act_nibbles(layer)),
        ]
        return beats, rotate_back.next_valid

    def _take_beats(self, m, walk: BeatCounter, beats, stopped) -> None:
        """Beats of memory into the pipeline, with the nibble of their pass."""
        read = self.read.beat
        m.d.comb += [
            read.ready.eq(walk.busy & ~stopped),
            walk.step.eq(read.ready & read.valid),
            self.waiting_memory.eq(read.ready & ~read.valid),
        ]
        m.d.sync += [beats.valid.eq(walk.busy & read.valid), beats.nibble.eq(walk.nibble)]
        for lane, port in enumerate(beats.data):
            m.d.sync += port.eq(read.payload[CARRIER_BITS * lane:CARRIER_BITS * (lane + 1)])

    def _move(self, m, walk: BeatCounter, writer: OperandWriter, advance, stopped) -> None:
        """The clock enable: a beat went in, or between chunks the pipeline is flushed.

        A register, since it goes to every stage: the pipeline and the writer do in the next cycle
        what is decided in this one.
        """
        inside = Signal()       # the current chunk has begun and is not complete
        with m.If(walk.step):
            m.d.sync += inside.eq(~walk.last)
        m.d.sync += advance.eq(~stopped & (walk.step | (~inside & writer.busy)))

    def _hand_over(self, m, queue: ChunkQueue, walk: BeatCounter, writer: OperandWriter) -> Signal:
        """The data side begins a chunk once the writer has taken the one before."""
        offered = Signal()
        m.d.comb += [walk.load.eq(queue.valid & ~walk.busy & ~offered),
                     walk.i_chunk.eq(queue.chunk), queue.next.eq(walk.load)]
        with m.If(walk.load):
            m.d.sync += offered.eq(1)
        with m.Elif(writer.take):
            m.d.sync += offered.eq(0)
        return offered
