"""The requests of the load unit: an address generator that runs ahead of the data."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from rtl.interfaces import DESCRIPTOR_LAYOUT, read_request
from rtl.load.sequence import ChunkSequence, by_width
from spec.config import Config


class _Source:
    """Registers of one source tensor: addresses of the tile, the row and the pixel."""

    def __init__(self, config, layer, index):
        self.index = index
        self.word_bytes = config.word_bytes
        self._word_shift = config.word_bytes.bit_length() - 1
        self._beat_shift = config.bus_bytes.bit_length() - 1
        self.words = layer[f"words{index}"]
        self.base = layer[f"source{index}"]
        self.row_bytes = layer[f"row_bytes{index}"]
        self.tile, self.row, self.pixel = (
            Signal(config.address_bits, name=f"{name}{index}") for name in ("tile", "row", "pixel"))
        self.first = Signal(16, name=f"first{index}")   # first word of the chunk in this source
        self.count = Signal(16, name=f"count{index}")   # words of the chunk in this source - 1
        self.used = Signal(name=f"used{index}")

    @property
    def pixel_bytes(self):
        return self.words << self._word_shift

    @property
    def chunk_address(self):
        """Address of the chunk's words in the first row and pixel of the tile."""
        return self.tile + (self.first << self._word_shift)

    @property
    def pixel_beats(self):
        return (self.count + 1) << 1

    @property
    def row_beats(self):
        return self.row_bytes >> self._beat_shift


class _Row:
    """The requests of one row: a cursor over pixels and words (or words and pixels)."""

    def __init__(self, m, layer, chunk, sources):
        self._m, self._layer, self._sources = m, layer, sources
        a, b = sources
        self._wide = by_width(layer)
        self._second, self._both = Signal(name="second"), a.used & b.used
        self._x, self._w = Signal(16, name="x"), Signal(16, name="w")   # down counters
        self._word = Signal.like(a.row, name="word")    # address of the word at the first pixel
        self._last_source = self._second | ~b.used
        self._x_end, self._w_end = ~self._x.any(), ~self._w.any()
        merged = Signal(name="merged")
        whole = Mux(b.used, b.count + 1 == b.words, a.count + 1 == a.words) & ~self._both
        m.d.comb += merged.eq(whole & (~self._wide | ~chunk.words.any()))
        self.end = merged | self._last_source & self._x_end & (~self._wide | self._w_end)
        self.address = Mux(self._second, b.pixel, a.pixel)
        self.beats = Mux(merged, Mux(self._second, b.row_beats, a.row_beats), Mux(
            self._wide, 2, Mux(self._second, b.pixel_beats, a.pixel_beats)))

    def begin(self, addresses):
        """Go to the first pixel and word of the row at `addresses`, one per source."""
        addresses = list(addresses)
        a, b = self._sources
        for source, address in zip(self._sources, addresses, strict=True):
            self._m.d.sync += [source.row.eq(address), source.pixel.eq(address)]
        self._m.d.sync += [
            self._second.eq(~a.used), self._x.eq(self._layer.width - 1),
            self._w.eq(Mux(a.used, a.count, b.count)),
            self._word.eq(Mux(a.used, *addresses)),
        ]

    def step(self):
        """Go to the next request within the row; `begin` overrides it at the end."""
        with self._m.If(self._wide):
            self._step_by_width()
        with self._m.Else():
            self._m.d.sync += self._second.eq(self._both ^ self._second)
            for source in self._sources:
                with self._m.If(self._second == source.index):
                    self._m.d.sync += source.pixel.eq(source.pixel + source.pixel_bytes)
            with self._m.If(self._last_source):
                self._m.d.sync += self._x.eq(self._x - 1)

    def _step_by_width(self):
        m, b = self._m, self._sources[1]
        word = self._word + b.word_bytes
        with m.If(~self._x_end):
            m.d.sync += self._x.eq(self._x - 1)
        with m.Else():
            m.d.sync += [self._x.eq(self._layer.width - 1), self._w.eq(self._w - 1),
                         self._word.eq(word)]
            with m.If(self._w_end):     # on to source 1, whose pixel is still the row's first
                m.d.sync += [self._second.eq(1), self._w.eq(b.count), self._word.eq(b.row)]
        for source in self._sources:
            with m.If((self._second == source.index) & ~(self._x_end & self._w_end)):
                m.d.sync += source.pixel.eq(
                    Mux(self._x_end, word, source.pixel + source.pixel_bytes))


class LoadRequests(wiring.Component):
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
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "start": In(1),
            "request": Out(stream.Signature(read_request(config))),
        })

    def elaborate(self, platform):
        m = Module()
        layer = self.layer
        m.submodules.sequence = sequence = ChunkSequence()
        chunk = sequence.chunk
        sources = [_Source(self._config, layer, s) for s in range(2)]
        row = _Row(m, layer, chunk, sources)
        tile_row, rows, nibble = Signal(16), Signal(16), Signal()
        m.d.comb += [
            sequence.layer.eq(layer), sequence.start.eq(self.start),
            self.request.payload.address.eq(row.address), self.request.payload.beats.eq(row.beats),
        ]
        with m.FSM():
            with m.State("SPLIT"):
                self._split(m, chunk, *sources)
                with m.If(self.start):
                    m.d.sync += [tile_row.eq(0), *(s.tile.eq(s.base) for s in sources)]
                with m.If(sequence.valid):
                    m.next = "SEEK"
            with m.State("SEEK"):
                m.d.sync += nibble.eq(0)
                with m.If(tile_row == chunk.first_row):
                    m.next = "PASS"
                with m.Else():
                    m.d.sync += [tile_row.eq(tile_row + 1),
                                 *(s.tile.eq(s.tile + s.row_bytes) for s in sources)]
            with m.State("PASS"):
                row.begin(s.chunk_address for s in sources)
                m.d.sync += rows.eq(chunk.rows)
                m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += self.request.valid.eq(1)
                with m.If(self.request.ready):
                    row.step()
                    with m.If(row.end):
                        m.d.sync += rows.eq(rows - 1)
                        row.begin(s.row + s.row_bytes for s in sources)
                    with m.If(row.end & ~rows.any()):
                        m.d.sync += nibble.eq(1)
                        m.next = "PASS"
                        with m.If(nibble == layer.act_nibbles[1]):
                            m.d.comb += sequence.next.eq(1)
                            m.next = "SPLIT"
        return m

    def _split(self, m, chunk, a, b):
        """Which words of the chunk come from which source."""
        words0 = self.layer.words0
        last = chunk.first_word + chunk.words
        inside = chunk.first_word < words0      # the chunk begins in source 0
        m.d.sync += [
            a.used.eq(inside), a.first.eq(chunk.first_word),
            a.count.eq(Mux(last < words0, chunk.words, words0 - chunk.first_word - 1)),
            b.used.eq(last >= words0), b.first.eq(Mux(inside, 0, chunk.first_word - words0)),
            b.count.eq(Mux(inside, last - words0, chunk.words)),
        ]
