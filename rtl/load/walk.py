"""The inner loops of load: how many beats a chunk has, and where in a chunk a beat is."""

from typing import Any

from amaranth import *
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.interfaces import DESCRIPTOR_LAYOUT
from hqdm.rtl.load.sequence import CHUNK, by_width
from hqdm.rtl.modes import two_act_nibbles


class BeatCounter(Component):
    """Counts the beats of a chunk, whatever their order: nibbles, rows, words, pixels, 2 beats.

    Down counters, one step per cycle. The chunk is kept, so that its giver may move on.

    Members
    -------
    layer: static.
    load: begin the chunk `i_chunk`. step: the current beat is done.
    chunk: the chunk being counted. busy: it still has beats.
    nibble: of the current beat. last: it is the chunk's last.
    """

    def __init__(self):
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "load": In(1), "i_chunk": In(CHUNK), "step": In(1),
            "chunk": Out(CHUNK), "busy": Out(1), "nibble": Out(1), "last": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        pixel, word, row, upper = Signal(16), Signal(16), Signal(16), Signal()
        pixel_end = (pixel == 1) & upper
        word_end = pixel_end & ~word.any()
        nibble_end = word_end & ~row.any()
        m.d.comb += self.last.eq(nibble_end & (self.nibble == two_act_nibbles(self.layer)))
        with m.If(self.load):
            m.d.sync += [
                self.chunk.eq(self.i_chunk), self.busy.eq(1), self.nibble.eq(0), upper.eq(0),
                pixel.eq(self.layer.width), word.eq(self.i_chunk.words), row.eq(self.i_chunk.rows)]
        with m.Elif(self.step):
            m.d.sync += upper.eq(~upper)
            with m.If(upper):
                m.d.sync += pixel.eq(Mux(pixel_end, self.layer.width, pixel - 1))
            with m.If(pixel_end):
                m.d.sync += word.eq(Mux(word_end, self.chunk.words, word - 1))
            with m.If(word_end):
                m.d.sync += row.eq(Mux(nibble_end, self.chunk.rows, row - 1))
            with m.If(nibble_end):
                m.d.sync += [self.nibble.eq(1), self.busy.eq(~self.last)]
        return m


class BeatWalk(Component):
    """Counts the beats of a chunk: nibble, row, then pixel and word (or word and pixel), beat.

    Down counters, one step per cycle, the first no earlier than the cycle after `load`. The chunk
    is kept, so that its giver may move on.

    Members
    -------
    layer: static.
    load: begin the chunk `i_chunk`. step: the current beat is done.
    chunk: the chunk being walked. busy: it still has beats.
    nibble, upper: of the current beat.
    line_end, row_end, nibble_end, chunk_end: the current *word* is the last of the inner loop, of
        its row, of the nibble pass, of the chunk (and so is the beat if `upper`).
    """

    def __init__(self):
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "load": In(1), "i_chunk": In(CHUNK), "step": In(1),
            "chunk": Out(CHUNK), "busy": Out(1), "nibble": Out(1), "upper": Out(1),
            "line_end": Out(1), "row_end": Out(1), "nibble_end": Out(1), "chunk_end": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        pixels = Signal(16)
        m.d.sync += pixels.eq(self.layer.width - 1)
        wide = by_width(m, self.layer)
        inner, outer, row = Signal(16), Signal(16), Signal(16)
        source: Any = Signal(CHUNK)
        m.d.comb += source.eq(Mux(self.load, self.i_chunk.as_value(), self.chunk.as_value()))
        # along the channels the words of a pixel are the inner loop, along the width the pixels
        inner_top = Mux(wide, pixels, source.words)
        outer_top = Mux(wide, source.words, pixels)
        m.d.comb += [
            self.line_end.eq(~inner.any()),
            self.row_end.eq(self.line_end & ~outer.any()),
            self.nibble_end.eq(self.row_end & ~row.any()),
            self.chunk_end.eq(self.nibble_end & (self.nibble == two_act_nibbles(self.layer))),
        ]
        line_end, row_end, nibble_end, chunk_end = (Signal(name=name) for name in (
            "line_ends", "row_ends", "nibble_ends", "chunk_ends"))
        m.d.sync += [line_end.eq(self.line_end), row_end.eq(self.row_end),
                     nibble_end.eq(self.nibble_end), chunk_end.eq(self.chunk_end)]
        with m.If(self.load):
            m.d.sync += [self.chunk.eq(self.i_chunk), self.busy.eq(1), self.nibble.eq(0),
                         self.upper.eq(0), inner.eq(inner_top), outer.eq(outer_top),
                         row.eq(source.rows)]
        with m.Elif(self.step):
            m.d.sync += self.upper.eq(~self.upper)
            with m.If(self.upper):      # the lower half has left these a cycle to settle
                m.d.sync += inner.eq(Mux(line_end, inner_top, inner - 1))
                with m.If(line_end):
                    m.d.sync += outer.eq(Mux(row_end, outer_top, outer - 1))
                with m.If(row_end):
                    m.d.sync += row.eq(Mux(nibble_end, source.rows, row - 1))
                with m.If(nibble_end):
                    m.d.sync += [self.nibble.eq(1), self.busy.eq(~chunk_end)]
        return m
