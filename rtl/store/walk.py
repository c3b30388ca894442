"""The order in which the store unit visits the output."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.interfaces import DESCRIPTOR_LAYOUT
from spec.config import Config


class TileWalk(wiring.Component):
    """Pixels of the output words of the spatial tiles, with the address of each word.

    ``for s in tiles: for o in out_words: for pixel in the rows of the tile`` and
    ``address = base + (pixel of the image * out_words + o) * word_bytes``, by additions only.
    The last tile may have fewer rows. Outputs are valid while `active`, registered, and move on
    in the cycle after `step` or `skip`.

    Members
    -------
    layer: descriptor; base: address of the first word.
    start: pulse, begins the walk.
    step: go to the next pixel; after the last pixel of the tile to the next output word.
    skip: go to the next output word at once; addresses are wrong from then on.
    active: the walk is not over.
    pixel: index of the pixel in the tile.
    address: of the word.
    last_pixel: last pixel of the tile. last_word: last output word. last_tile: last tile.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "base": In(config.address_bits),
            "start": In(1), "step": In(1), "skip": In(1),
            "active": Out(1), "pixel": Out(range(config.acc_words)),
            "address": Out(config.address_bits),
            "last_pixel": Out(1), "last_word": Out(1), "last_tile": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        layer = self.layer
        x, y, word, rows_left = Signal(16), Signal(16), Signal(16), Signal(16)
        last_x, leave_word, leave_tile = Signal(), Signal(), Signal()
        m.d.comb += [
            last_x.eq(x == layer.out_width - 1),
            self.last_pixel.eq(last_x & ((y == layer.tile_rows - 1) | (y == rows_left - 1))),
            self.last_word.eq(word == layer.out_words - 1),
            self.last_tile.eq(rows_left <= layer.tile_rows),
            leave_word.eq(self.skip | (self.step & self.last_pixel)),
            leave_tile.eq(leave_word & self.last_word),
        ]
        with m.If(self.step):
            m.d.sync += [x.eq(Mux(last_x, 0, x + 1)), y.eq(y + last_x),
                         self.pixel.eq(self.pixel + 1)]
        with m.If(leave_word | self.start):
            m.d.sync += [x.eq(0), y.eq(0), self.pixel.eq(0)]
        with m.If(leave_word):
            m.d.sync += word.eq(word + 1)
        with m.If(leave_tile):
            m.d.sync += [word.eq(0), rows_left.eq(rows_left - layer.tile_rows),
                         self.active.eq(~self.last_tile)]
        with m.If(self.start):
            m.d.sync += [word.eq(0), rows_left.eq(layer.out_height), self.active.eq(1)]
        self._address(m, word == 0, leave_word, leave_tile)
        return m

    def _address(self, m, first_word, leave_word, leave_tile):
        """Running pointers: of this pixel, of pixel 0 of this word, of the next tile."""
        bits = self._config.address_bits
        word_bytes = self._config.word_bytes
        origin, following, after = Signal(bits), Signal(bits), Signal(bits)
        next_tile = Signal(bits)
        m.d.comb += [
            after.eq(self.address + (self.layer.out_words << (word_bytes - 1).bit_length())),
            following.eq(Mux(first_word, after, next_tile)),
        ]
        with m.If(self.step):
            m.d.sync += self.address.eq(after)
        with m.If(leave_word):
            m.d.sync += [next_tile.eq(following), origin.eq(origin + word_bytes),
                         self.address.eq(origin + word_bytes)]
        with m.If(leave_tile):
            m.d.sync += [origin.eq(following), self.address.eq(following)]
        with m.If(self.start):
            m.d.sync += [origin.eq(self.base), self.address.eq(self.base)]
