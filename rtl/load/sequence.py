"""The outer loops of load: spatial tiles, output words, chunks."""

from amaranth import *
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.interfaces import DESCRIPTOR_LAYOUT

CHUNK = data.StructLayout({
    "rows": 16,         # source rows - 1
    "words": 16,        # channel words - 1
    "final": 1,         # the last chunk of the layer
})
PART = data.StructLayout({
    "used": 1,          # the chunk has words of this source
    "first": 16,        # the first of them
    "count": 16,        # how many - 1
    "whole": 1,         # all that the source has, and nothing of the other
})


def by_width(m, layer):
    """Whether the beats come word by word: a rotation of order 0 reads like one along channels.

    A register beside its user, as the descriptor is static from before `start` on.
    """
    wide = Signal(name="by_width")
    m.d.sync += wide.eq(layer.axis & layer.order.any())
    return wide


class ChunkSequence(Component):
    """What is loaded, chunk by chunk, in the order of docs/architecture.md.

    for each tile of output rows y0 … y1: for each output word, if chunks > 1: for each chunk

    The rows are max(0, y0 * stride - padding) >> up up to
    min(height * 2**up - 1, y1 * stride - padding + kernel - 1) >> up.
    A pipeline of five steps, one addition or comparison each, hangs on the loop counters.
    `valid` comes 3 cycles after `next` is seen, for first_row; everything else is there 2 later.

    Members
    -------
    layer: static. start: begin again at the first chunk. next: go on (ignored unless valid).
    valid, first_row, chunk, parts: held until `next`; never valid after the final chunk.
    first_row: source row. parts: the chunk's words by source.
    """

    PLAN = 3            # steps to `first_row`
    STEPS = 5           # to everything

    def __init__(self):
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "start": In(1), "next": In(1),
            "valid": Out(1), "first_row": Out(16), "chunk": Out(CHUNK), "parts": Out(PART).array(2),
        })

    def elaborate(self, platform):
        m = Module()
        layer = self.layer
        self._tile, self._top = Signal(16), Signal()    # output row; it is row 0
        self._word, self._zero = Signal(16), Signal()   # channel word; it is word 0
        self._tile_end, self._word_end = Signal(16), Signal(17)
        self._last_tile, self._last_chunk = Signal(), Signal()
        out_word, next_out, last_out = Signal(16), Signal(16), Signal()
        many = Signal()
        active, age = Signal(), Signal(range(self.PLAN + 1))
        m.d.sync += [
            many.eq(layer.chunks[1:].any()), next_out.eq(out_word + 1),
            last_out.eq(~many | (next_out == layer.out_words)),
            self.chunk.final.eq(self._last_chunk & last_out & self._last_tile),
        ]
        m.d.comb += self.valid.eq(active & (age == self.PLAN))
        with m.If(~self.valid):
            m.d.sync += age.eq(Mux(active, age + 1, 0))
        with m.Elif(self.next):
            m.d.sync += [age.eq(0), active.eq(~self.chunk.final), self._word.eq(self._word_end),
                         self._zero.eq(0)]
            with m.If(self._last_chunk):
                m.d.sync += [self._word.eq(0), self._zero.eq(1), out_word.eq(next_out)]
                with m.If(last_out):
                    m.d.sync += [out_word.eq(0), self._tile.eq(self._tile_end), self._top.eq(0)]
        with m.If(self.start):
            m.d.sync += [active.eq(1), age.eq(0), self._tile.eq(0), self._top.eq(1),
                         out_word.eq(0), self._word.eq(0), self._zero.eq(1)]
        self._rows(m)
        self._words(m)
        return m

    def _rows(self, m):
        """Source rows of the tile."""
        layer, tile = self.layer, self._tile
        double, up = layer.stride[1], layer.upsample
        next_tile, rows_end, first_row = Signal(17), Signal(17), Signal(16)
        last = next_tile >= layer.out_height
        # from the tile's end to the end of its rows: kernel - 1 - padding - stride + 2**up
        beyond = Signal(signed(4))
        with m.Switch(Cat(layer.kernel[1], double, layer.padding, up)):
            for case in range(16):
                kernel, s, padding, u = ((case >> k) & 1 for k in range(4))
                with m.Case(case):
                    m.d.sync += beyond.eq(2 * kernel - s - padding + u)
        reach = Signal(signed(19))
        m.d.comb += reach.eq((self._tile_end << double) + beyond)
        m.d.sync += [
            next_tile.eq(tile + layer.tile_rows),
            first_row.eq(Mux(self._top, 0, (tile << double) - layer.padding) >> up),
            self._tile_end.eq(Mux(last, layer.out_height, next_tile)), self._last_tile.eq(last),
            rows_end.eq(reach >> up),
        ]
        clipped = Signal(16)
        m.d.sync += [
            clipped.eq(Mux(rows_end < layer.height, rows_end, layer.height)),
            self.chunk.rows.eq(clipped + ~first_row),
        ]
        m.d.comb += self.first_row.eq(first_row)

    def _words(self, m):
        """Channel words of the chunk: up to word_end, of which those below words0 in source 0."""
        layer, word = self.layer, self._word
        words0, end = layer.words0, self._word_end
        total, next_word = Signal(17), Signal(17)
        behind = Signal(signed(17))     # first word in source 1; negative: in source 0
        over = Signal(signed(18))       # words in source 1 - 1; negative: none
        begun = Signal()                # ends the chunk the first source, or begins it the second
        last = next_word >= total
        a, b = self.parts
        m.d.sync += [
            total.eq(words0 + layer.words1), next_word.eq(word + layer.chunk_words),
            behind.eq(word - words0),
            end.eq(Mux(last, total, next_word)), self._last_chunk.eq(last),
            over.eq(end - words0 - 1), self.chunk.words.eq(end + ~word), begun.eq(~behind.any()),
            a.used.eq(behind[-1]), b.used.eq(~over[-1]),
            a.first.eq(word), b.first.eq(Mux(behind[-1], 0, behind)),
            a.count.eq(Mux(over[-1], self.chunk.words, ~behind)),
            b.count.eq(Mux(behind[-1], over, self.chunk.words)),
            a.whole.eq(self._zero & over.all()), b.whole.eq(begun & self._last_chunk),
        ]
