"""The outer loops of load: spatial tiles, output words, chunks."""

from typing import NamedTuple

from amaranth import *
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.interfaces import DESCRIPTOR_LAYOUT
from hqdm.rtl.modes import kernel_is_3, stride_is_2

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


def by_width(m, layer) -> Signal:
    """Whether the beats come word by word: a rotation of order 0 reads like one along channels.

    A register beside its user, as the descriptor is static from before `start` on.
    """
    wide = Signal(name="by_width")
    m.d.sync += wide.eq(layer.axis & layer.order.any())
    return wide


class Place(NamedTuple):
    """Where in the loops the sequence is; `*_end` and `last_*` follow from the others later."""

    tile: Signal        # output row the tile begins with
    top: Signal         # it is row 0
    word: Signal        # channel word the chunk begins with
    zero: Signal        # it is word 0
    tile_end: Signal    # output row behind the tile
    word_end: Signal    # channel word behind the chunk
    last_tile: Signal
    last_chunk: Signal  # of the output word

    @classmethod
    def create(cls) -> "Place":
        """A new one, at no particular place."""
        bits = {"tile": 16, "word": 16, "tile_end": 16, "word_end": 17}
        return cls(*(Signal(bits.get(name, 1)) for name in cls._fields))


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
        place = Place.create()
        out_word, next_out, last_out = Signal(16), Signal(16), Signal()
        many = Signal()
        active, age = Signal(), Signal(range(self.PLAN + 1))
        m.d.sync += [
            many.eq(layer.chunks[1:].any()), next_out.eq(out_word + 1),
            last_out.eq(~many | (next_out == layer.out_words)),
            self.chunk.final.eq(place.last_chunk & last_out & place.last_tile),
        ]
        m.d.comb += self.valid.eq(active & (age == self.PLAN))
        with m.If(~self.valid):
            m.d.sync += age.eq(Mux(active, age + 1, 0))
        with m.Elif(self.next):
            m.d.sync += [age.eq(0), active.eq(~self.chunk.final), place.word.eq(place.word_end),
                         place.zero.eq(0)]
            with m.If(place.last_chunk):
                m.d.sync += [place.word.eq(0), place.zero.eq(1), out_word.eq(next_out)]
                with m.If(last_out):
                    m.d.sync += [out_word.eq(0), place.tile.eq(place.tile_end), place.top.eq(0)]
        with m.If(self.start):
            m.d.sync += [active.eq(1), age.eq(0), place.tile.eq(0), place.top.eq(1),
                         out_word.eq(0), place.word.eq(0), place.zero.eq(1)]
        self._rows(m, place)
        self._words(m, place)
        return m

    def _rows(self, m, place: Place) -> None:
        """Source rows of the tile."""
        layer, tile = self.layer, place.tile
        double, up = stride_is_2(layer), layer.upsample
        next_tile, rows_end, first_row = Signal(17), Signal(17), Signal(16)
        last = next_tile >= layer.out_height
        # from the tile's end to the end of its rows: kernel - 1 - padding - stride + 2**up
        beyond = Signal(signed(4))
        with m.Switch(Cat(kernel_is_3(layer), double, layer.padding, up)):
            for case in range(16):
                three, two, padding, u = ((case >> k) & 1 for k in range(4))
                with m.Case(case):      # stride is 1 + two, 2**up is 1 + u
                    m.d.sync += beyond.eq(2 * three - two - padding + u)
        reach = Signal(signed(19))
        m.d.comb += reach.eq((place.tile_end << double) + beyond)
        m.d.sync += [
            next_tile.eq(tile + layer.tile_rows),
            first_row.eq(Mux(place.top, 0, (tile << double) - layer.padding) >> up),
            place.tile_end.eq(Mux(last, layer.out_height, next_tile)), place.last_tile.eq(last),
            rows_end.eq(reach >> up),
        ]
        # ~x is -x - 1, so an end and the complement of a begin add up to a length less 1
        clipped = Signal(16)
        m.d.sync += [
            clipped.eq(Mux(rows_end < layer.height, rows_end, layer.height)),
            self.chunk.rows.eq(clipped + ~first_row),
        ]
        m.d.comb += self.first_row.eq(first_row)

    def _words(self, m, place: Place) -> None:
        """Channel words of the chunk: up to word_end, of which those below words0 in source 0."""
        layer, word = self.layer, place.word
        words0, end = layer.words0, place.word_end
        total, next_word = Signal(17), Signal(17)
        behind = Signal(signed(17))     # first word in source 1; negative: in source 0
        over = Signal(signed(18))       # words in source 1 - 1; negative: none
        begun = Signal()                # ends the chunk the first source, or begins it the second
        last = next_word >= total
        a, b = self.parts
        m.d.sync += [
            total.eq(words0 + layer.words1), next_word.eq(word + layer.chunk_words),
            behind.eq(word - words0),
            end.eq(Mux(last, total, next_word)), place.last_chunk.eq(last),
            over.eq(end - words0 - 1), self.chunk.words.eq(end + ~word), begun.eq(~behind.any()),
            a.used.eq(behind[-1]), b.used.eq(~over[-1]),
            a.first.eq(word), b.first.eq(Mux(behind[-1], 0, behind)),
            a.count.eq(Mux(over[-1], self.chunk.words, ~behind)),
            b.count.eq(Mux(behind[-1], over, self.chunk.words)),
            a.whole.eq(place.zero & over.all()), b.whole.eq(begun & place.last_chunk),
        ]
