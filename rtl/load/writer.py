"""Operands into the operand buffer: addresses and the hand-over of its halves."""

from amaranth import *
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.interfaces import DESCRIPTOR_LAYOUT, OperandWrite
from hqdm.rtl.load.beat import Beat
from hqdm.rtl.load.sequence import CHUNK, by_width
from hqdm.rtl.load.walk import BeatWalk
from hqdm.rtl.modes import two_act_nibbles
from hqdm.spec.config import Config


class OperandWriter(Component):
    """Writes the beats of a chunk to (nibble * chunk_words + word) * plane_words + pixel.

    The address is kept by additions: along the channels the next word is `plane_words` away and
    the next pixel 1; along the width the other way round. Latency 1 cycle; `bank_done` follows
    the last write by one cycle, and `bank_free` is not looked at before that has been seen.

    Members
    -------
    layer: static. start: begin a layer.
    offer, i_chunk: the chunk the data side has begun; take: the writer now expects its beats.
    advance, i: the pipeline's clock enable and last beat; ready: a valid beat may be taken in the
        next cycle.
    write, bank_free, bank_done: operand buffer.
    busy: beats of a chunk are still to come. done: the final chunk is written, until `start`.
    overflow: an address went beyond the buffer, until `start`; such words are not written.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "start": In(1),
            "offer": In(1), "i_chunk": In(CHUNK), "take": Out(1),
            "advance": In(1), "i": In(Beat(config.lanes, config.operand_bits)), "ready": Out(1),
            "write": Out(OperandWrite(config)), "bank_free": In(1), "bank_done": Out(1),
            "busy": Out(1), "done": Out(1), "overflow": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk = walk = BeatWalk()
        claimed, bank, last_write, final_write = Signal(), Signal(), Signal(), Signal()
        accept = self.advance & self.i.valid
        ending = Signal()       # the word is the chunk's last, once its lower half has been seen
        last = accept & walk.upper & ending
        plane = self._limited(m, self.layer.plane_words, "plane")
        stride, stride_ready = self._nibble_stride(m, plane)
        m.d.comb += [
            walk.layer.eq(self.layer), walk.i_chunk.eq(self.i_chunk), walk.load.eq(self.take),
            walk.step.eq(accept), self.busy.eq(walk.busy), self.take.eq(self.offer & ~walk.busy),
            self.ready.eq(walk.busy & claimed & ~last),
        ]
        m.d.sync += ending.eq(walk.chunk_end)
        # a chunk's first beat waits at the end of the pipeline until its half is claimed
        with m.If(walk.busy & self.bank_free & stride_ready & ~self.bank_done):
            m.d.sync += claimed.eq(1)
        with m.If(last):
            m.d.sync += [claimed.eq(0), bank.eq(~bank)]
        m.d.sync += [
            last_write.eq(last), final_write.eq(last & walk.chunk.final),
            self.bank_done.eq(last_write), self.done.eq((self.done | final_write) & ~self.start),
        ]
        address = self._address(m, walk, accept & walk.upper, stride, plane)
        self._write(m, walk, accept, bank, address)
        return m

    def _limited(self, m, value, name: str) -> Signal:
        """`value`, or buffer_words if it is larger: an address plus it overflows visibly.

        A register, as `value` is static from `start` on.
        """
        size = self._config.buffer_words
        limited = Signal(range(size + 1), name=name)
        m.d.sync += limited.eq(Mux(value > size, size, value))
        return limited

    def _nibble_stride(self, m, plane) -> tuple[Signal, Value]:
        """chunk_words * plane_words (saturating), summed up after `start`; and when it is there.

        The writer waits for it, but the pipeline takes longer to bring the first beat unless
        there are more words than beats.
        """
        size = self._config.buffer_words
        stride, left = Signal(range(size + 1)), Signal(16)
        total = Signal(range(2 * size + 1))
        m.d.comb += total.eq(stride + plane)
        with m.If(self.start):
            m.d.sync += [stride.eq(0), left.eq(Mux(
                two_act_nibbles(self.layer), self.layer.chunk_words, 0))]
        with m.Elif(left.any()):
            m.d.sync += [stride.eq(Mux(total > size, size, total)), left.eq(left - 1)]
        return stride, ~left.any()

    def _address(self, m, walk: BeatWalk, step, stride, plane) -> Signal:
        """Buffer address of the current word, one bit more than the buffer has.

        `line` and `row` are the addresses where the current line and row began: at the end of one
        the address goes back there and on by a step. Of a row of 3 pixels and 2 words, with a
        plane of 12 words (4 rows), the addresses of the first row are:

            along the channels   0 12 | 1 13 | 2 14      line: a pixel, row: back to 0, then 3
            along the width      0 1 2 | 12 13 14        line: a word of the row
        """
        shape = range(2 * self._config.buffer_words)
        address, line, row = Signal(shape), Signal(shape), Signal(shape)
        wide = by_width(m, self.layer)
        width = self._limited(m, self.layer.width, "width")
        inner, outer = Signal.like(plane, name="inner"), Signal.like(plane, name="outer")
        m.d.sync += [inner.eq(Mux(wide, 1, plane)), outer.eq(Mux(wide, plane, 1))]
        with_line, with_row = Signal(shape), Signal(shape)
        m.d.comb += [with_line.eq(line + outer), with_row.eq(Mux(wide, row + width, with_line))]
        # What they are to be after the word is worked out while its lower half is awaited.
        after = [Signal(shape, name=f"next_{name}") for name in ("address", "line", "row")]
        m.d.sync += [after[0].eq(address + inner), after[1].eq(line), after[2].eq(row)]
        with m.If(walk.nibble_end):
            m.d.sync += [value.eq(stride) for value in after]
        with m.Elif(walk.row_end):
            m.d.sync += [value.eq(with_row) for value in after]
        with m.Elif(walk.line_end):
            m.d.sync += [after[0].eq(with_line), after[1].eq(with_line)]
        with m.If(self.take):
            m.d.sync += [address.eq(0), line.eq(0), row.eq(0)]
        with m.Elif(step):
            m.d.sync += [address.eq(after[0]), line.eq(after[1]), row.eq(after[2])]
        return address

    def _write(self, m, walk: BeatWalk, accept, bank, address) -> None:
        """Registered write port and the overflow flag."""
        beyond = address[-1]
        m.d.sync += self.write.enable.eq(accept & ~beyond)
        with m.If(accept):
            m.d.sync += [self.write.bank.eq(bank), self.write.upper.eq(walk.upper),
                         self.write.address.eq(address[:-1])]
            m.d.sync += [port.eq(lane)
                         for port, lane in zip(self.write.data, self.i.data, strict=True)]
        with m.If(self.start):
            m.d.sync += self.overflow.eq(0)
        with m.Elif(accept & beyond):
            m.d.sync += self.overflow.eq(1)
