"""The requests of the load unit: an address generator that runs ahead of the data.

A row of 3 pixels of a chunk with the words a0 a1 of source 0 and b0 of source 1, in memory

    source 0   a0 a1 .. | a0 a1 .. | a0 a1 ..       a bar: the next pixel; ..: words of other chunks
    source 1   b0 .. | b0 .. | b0 ..

is asked for as follows, a request in brackets:

    along the channels   [a0 a1] [b0] | [a0 a1] [b0] | [a0 a1] [b0]     the sources alternate
    along the width      [a0] [a0] [a0] | [a1] [a1] [a1] | [b0] [b0] [b0]   a line: one word
    merged               [a0 a1 a0 a1 a0 a1]    if a pixel has no other words and there is no b
"""

from collections.abc import Sequence
from typing import Any

from amaranth import *
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.interfaces import BEATS_BITS, DESCRIPTOR_LAYOUT, read_request
from hqdm.rtl.load.sequence import CHUNK, ChunkSequence, by_width
from hqdm.rtl.modes import two_act_nibbles
from hqdm.spec.config import Config


class _Source:
    """Addresses of one source tensor, in words: of the tile, and of the current row's first word.

    One adder for everything, `next` = `row` + step. In the state WAIT `row` is the first row of the
    tile before. While the rows of a tile are sought, and from row to row of a pass, step is the
    length of a row. At the begin of a pass (`place`) it is the first word of the chunk: from there
    on `row` is not the first word of a row but the chunk's first word in it.
    """

    def __init__(self, m, config: Config, layer, wide, part, index: int):
        self._m, self.part = m, part
        shift = config.word_bytes.bit_length() - 1
        bits = config.address_bits - shift
        self.words = layer[f"words{index}"]
        self._base = layer[f"source{index}"][shift:]
        row_bytes = layer[f"row_bytes{index}"]
        self._tile, self.row = (Signal(bits, name=f"{name}{index}") for name in ("tile", "row"))
        self.next = Signal(bits, name=f"next{index}")       # first word of the row after this
        self.place = Signal(name=f"place{index}")           # a pass begins
        self.beats = Signal(BEATS_BITS, name=f"beats{index}")
        step = Mux(self.place, part.first, row_bytes[shift:])
        m.d.comb += self.next.eq(self.row + step)
        self.merged = merged = Signal(name=f"merged{index}")
        self.single = Signal(name=f"single{index}")         # the chunk has one word of it
        m.d.sync += self.single.eq(~part.count.any())
        m.d.sync += self.beats.eq(Mux(
            merged, row_bytes[shift - 1:], Mux(wide, 2, (part.count + 1) << 1)))

    def start(self) -> None:
        self._m.d.sync += self._tile.eq(self._base)

    def rewind(self) -> None:
        """To the first row of the tile."""
        self._m.d.sync += self.row.eq(self._tile)

    def go_on(self) -> None:
        self._m.d.sync += self.row.eq(self.next)

    def keep(self) -> None:
        """This row is the tile's first."""
        self._m.d.sync += self._tile.eq(self.row)


class _Cursor:
    """Where in a row the requests are: a cursor over pixels and words (or words and pixels).

    `address` is the request's. Its next value is one pixel on, or else `other`: along the channels
    the next request of the other source, with which it changes places, along the width the first
    request of the next line.

    The counters go down, `x` to -1, so that the end is a sign or a flag and no comparison.
    """

    def __init__(self, m, layer, wide, sources: Sequence[_Source]):
        self._m, self._layer, self._sources = m, layer, sources
        a, b = sources
        self._wide = wide
        self._second, self._both = Signal(name="second"), Signal(name="both")
        self._last_source = Signal(name="last_source")
        self._merged = Signal(name="merged")
        self._line_first = Signal(name="line_first")    # the line's first request
        self.address = Signal.like(a.row, name="address")
        self._other = Signal.like(a.row, name="other")
        self._x, self._w = Signal(17, name="x"), Signal(16, name="w")   # down counters
        self._x_top = Signal(17, name="x_top")      # width - 2: the counter ends below zero
        self._x_end, self._w_end = self._x[-1], Signal(name="w_end")
        m.d.sync += [
            self._both.eq(a.part.used & b.part.used), self._x_top.eq(layer.width - 2),
            self._merged.eq(a.merged | b.merged),
        ]
        self.end = self._merged | self._last_source & self._x_end & (~self._wide | self._w_end)
        self.beats = Mux(self._second, b.beats, a.beats)

    def begin(self) -> None:
        """Go to the first request of the row after this."""
        a, b = self._sources
        self._m.d.sync += [
            self.address.eq(Mux(a.part.used, a.next, b.next)), self._other.eq(b.next),
            self._second.eq(~a.part.used), self._last_source.eq(~(a.part.used & b.part.used)),
            self._x.eq(self._x_top), self._line_first.eq(1),
            self._w.eq(Mux(a.part.used, a.part.count, b.part.count)),
            self._w_end.eq(Mux(a.part.used, a.single, b.single)),
        ]

    def step(self) -> None:
        """Go to the next request within the row; `begin` overrides it at the end."""
        m, (a, b) = self._m, self._sources
        pixel = self.address + Mux(self._second, b.words, a.words)
        line = self._wide & self._line_first
        with m.If((self._wide & self._x_end) | self._alternate):
            m.d.sync += self.address.eq(self._other)
        with m.Else():
            m.d.sync += self.address.eq(pixel)
        with m.If(self._alternate):
            m.d.sync += [self._other.eq(pixel), self._second.eq(~self._second),
                         self._last_source.eq(~self._last_source)]
        with m.Elif(line):      # the next line: a word further, or the first word of source 1
            m.d.sync += self._other.eq(Mux(self._w_end, b.row, self.address + 1))
        m.d.sync += self._line_first.eq(self._x_end)
        with m.If(self._wide & self._x_end):
            m.d.sync += [self._x.eq(self._x_top), self._w.eq(self._w - 1),
                         self._w_end.eq(~self._w[1:].any())]
            with m.If(self._w_end):     # source 0 has had its lines
                m.d.sync += [self._second.eq(1), self._last_source.eq(1),
                             self._w.eq(b.part.count), self._w_end.eq(b.single)]
        with m.Elif(self._last_source | self._wide):
            m.d.sync += self._x.eq(self._x - 1)

    @property
    def _alternate(self) -> Any:
        """Whether the next request is of the other source."""
        return ~self._wide & self._both


class LoadRequests(Component):
    """Linear reads of the chunks of a layer, in the order the data are used.

    Per nibble and row: along the channels, per pixel one request for the chunk's words of each
    source; along the width, per word and pixel one request of a word. If the pixels of a row lie
    side by side (one source, whole pixels), one request per row.
    One request per cycle; a few cycles between nibbles, chunks and tiles. Additions only: the
    address of a tile's first row is found by stepping row by row.

    Members
    -------
    layer: static. start: begin a layer.
    request: linear reads.
    chunk: what is requested next, valid for the one cycle before its first request.
    full: no further chunk may begin.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "start": In(1),
            "request": Out(stream.Signature(read_request(config))),
            "chunk": Out(CHUNK), "chunk_valid": Out(1), "full": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        layer = self.layer
        m.submodules.sequence = sequence = ChunkSequence()
        wide = by_width(m, layer)
        sources = [_Source(m, self._config, layer, wide, sequence.parts[s], s) for s in range(2)]
        cursor = _Cursor(m, layer, wide, sources)
        tile_row, rows, rows_end, nibble = Signal(16), Signal(16), Signal(), Signal()
        low = self._config.word_bytes.bit_length() - 1
        m.d.comb += [
            sequence.layer.eq(layer), sequence.start.eq(self.start),
            self.request.payload.address.eq(cursor.address << low),
            self.request.payload.beats.eq(cursor.beats), self.chunk.eq(sequence.chunk),
        ]
        whole_rows = ~wide | ~sequence.chunk.words.any()
        m.d.comb += [s.merged.eq(s.part.whole & whole_rows) for s in sources]
        with m.FSM():
            with m.State("WAIT"):
                for s in sources:
                    s.rewind()
                with m.If(self.start):
                    m.d.sync += tile_row.eq(0)
                    for s in sources:
                        s.start()
                with m.If(sequence.valid):
                    m.next = "SEEK"
            with m.State("SEEK"):
                m.d.sync += nibble.eq(0)
                with m.If(tile_row != sequence.first_row):
                    m.d.sync += tile_row.eq(tile_row + 1)
                    for s in sources:
                        s.go_on()
                with m.Elif(~self.full):
                    for s in sources:
                        s.keep()
                    m.next = "PASS"
            with m.State("PASS"):
                m.d.comb += [s.place.eq(1) for s in sources]
                m.d.comb += self.chunk_valid.eq(~nibble)
                cursor.begin()
                for s in sources:
                    s.go_on()
                m.d.sync += [rows.eq(sequence.chunk.rows),
                             rows_end.eq(~sequence.chunk.rows.any())]
                m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += self.request.valid.eq(1)
                with m.If(self.request.ready):
                    cursor.step()
                    with m.If(cursor.end):
                        m.d.sync += [rows.eq(rows - 1), rows_end.eq(~rows[1:].any())]
                        cursor.begin()
                        for s in sources:
                            s.go_on()
                    with m.If(cursor.end & rows_end):
                        for s in sources:
                            s.rewind()
                        m.d.sync += nibble.eq(1)
                        m.next = "PASS"
                        with m.If(nibble == two_act_nibbles(layer)):
                            m.d.comb += sequence.next.eq(1)
                            m.next = "WAIT"
        return m
