"""The outer loops of load: spatial tiles, output words, chunks."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.interfaces import DESCRIPTOR_LAYOUT

CHUNK = data.StructLayout({
    "first_row": 16,    # source row
    "rows": 16,         # source rows - 1
    "first_word": 16,   # channel word of the two sources together
    "words": 16,        # channel words - 1
    "final": 1,         # the last chunk of the layer
})


def by_width(layer):
    """Whether the beats come word by word: a rotation of order 0 reads like one along channels."""
    return layer.axis & layer.order.any()


class ChunkSequence(wiring.Component):
    """What is loaded, chunk by chunk, in the order of docs/architecture.md.

    for each tile of output rows y0 … y1: for each output word, if chunks > 1: for each chunk

    The rows are max(0, y0 * stride - padding) >> up to
    min(height * 2**up - 1, y1 * stride - padding + kernel - 1) >> up.
    A chunk is valid 4 cycles after `start` or `next`.

    Members
    -------
    layer: static. start: begin again at the first chunk. next: go on (ignored unless valid).
    valid, chunk: the chunk, held until `next`; never valid after the final one.
    """

    PLAN = 3    # register stages between the loop counters and the rows of a tile

    def __init__(self):
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "start": In(1), "next": In(1),
            "valid": Out(1), "chunk": Out(CHUNK),
        })

    def elaborate(self, platform):
        m = Module()
        layer = self.layer
        tile, tile_end = Signal(16), Signal(17)     # output rows
        out_word, chunk, first_word = Signal(16), Signal(16), Signal(17)
        active, age = Signal(), Signal(range(self.PLAN + 1))
        many = layer.chunks > 1
        last_chunk = ~many | (chunk + 1 == layer.chunks)
        last_word = ~many | (out_word + 1 == layer.out_words)
        final = last_chunk & last_word & (tile_end == layer.out_height)
        m.d.comb += self.valid.eq(active & (age == self.PLAN))
        with m.If(self.start):
            m.d.sync += [active.eq(1), age.eq(0), tile.eq(0), out_word.eq(0), chunk.eq(0),
                         first_word.eq(0)]
        with m.Elif(~self.valid):
            m.d.sync += age.eq(Mux(active, age + 1, 0))
        with m.Elif(self.next):
            m.d.sync += [age.eq(0), active.eq(~final), chunk.eq(chunk + 1),
                         first_word.eq(first_word + layer.chunk_words)]
            with m.If(last_chunk):
                m.d.sync += [chunk.eq(0), first_word.eq(0), out_word.eq(out_word + 1)]
                with m.If(last_word):
                    m.d.sync += [out_word.eq(0), tile.eq(tile_end)]
        self._rows(m, tile, tile_end)
        m.d.sync += self.chunk.final.eq(final)
        self._words(m, first_word)
        return m

    def _rows(self, m, tile, tile_end):
        """Source rows of the tile: a pipeline that settles within PLAN cycles."""
        layer = self.layer
        end = tile + layer.tile_rows
        top, bottom = tile << layer.stride[1], (tile_end - 1)[:16] << layer.stride[1]
        limit = (layer.height << layer.upsample) - 1
        reach = bottom + layer.kernel - 1 - layer.padding
        last_row = Signal(17)
        m.d.sync += [
            tile_end.eq(Mux(end < layer.out_height, end, layer.out_height)),
            self.chunk.first_row.eq(Mux(top.any(), top - layer.padding, 0) >> layer.upsample),
            last_row.eq(Mux(reach < limit, reach, limit) >> layer.upsample),
            self.chunk.rows.eq(last_row - self.chunk.first_row),
        ]

    def _words(self, m, first_word):
        """Channel words of the chunk."""
        layer = self.layer
        left = layer.words0 + layer.words1 - first_word
        m.d.sync += [
            self.chunk.first_word.eq(first_word),
            self.chunk.words.eq(Mux(left < layer.chunk_words, left, layer.chunk_words) - 1),
        ]
