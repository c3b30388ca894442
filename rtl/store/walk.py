"""The order in which the store unit visits the output."""

from amaranth import *
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.interfaces import DESCRIPTOR_LAYOUT
from hqdm.spec.config import Config


class TileWalk(Component):
    """Pixels of the output words of the spatial tiles, with the address of each word.

    ``for s in tiles: for o in out_words: for pixel in the rows of the tile`` and
    ``address = base + (pixel of the image * out_words + o) * word_bytes``, with one adder.
    The last tile may have fewer rows. Outputs are valid while `active` and registered.

    Moves are at least two cycles apart; a `step` comes at least `SETTLE` cycles after `start`
    and after the move to its output word, because the counters and their flags follow later.

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

    SETTLE = 4

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
        layer, last_x, last_y = self.layer, Signal(), Signal()
        leave_word, leave_tile = Signal(), Signal()
        m.d.comb += [
            self.last_pixel.eq(last_x & last_y),
            leave_word.eq(self.skip | (self.step & self.last_pixel)),
            leave_tile.eq(leave_word & self.last_word),
        ]
        self._pixels(m, last_x, leave_word | self.start)
        word, rows_left = Signal(16), Signal(16)    # this one included
        with m.If(leave_word | self.start):
            m.d.sync += word.eq(Mux(leave_tile | self.start, layer.out_words, word - 1))
        with m.If(leave_tile | self.start):
            m.d.sync += [
                rows_left.eq(Mux(self.start, layer.out_height, rows_left - layer.tile_rows)),
                self.active.eq(self.start | ~self.last_tile)]
        m.d.sync += [self.last_word.eq(word == 1), self.last_tile.eq(rows_left <= layer.tile_rows)]
        self._address(m, leave_word)
        self._rows(m, last_x, last_y, rows_left, leave_word | self.start)
        return m

    def _pixels(self, m, last_x, enter):
        """Pixel in the tile, and columns left in its row."""
        x, width = Signal(16), self.layer.out_width
        with m.If(self.step | enter):
            m.d.sync += [x.eq(Mux(last_x | enter, width, x - 1)),
                         self.pixel.eq(Mux(enter, 0, self.pixel + 1))]
        m.d.sync += last_x.eq(x == 1)

    def _rows(self, m, last_x, last_y, rows_left, enter):
        """Rows left in the tile: set two cycles after it is entered, when `last_tile` is right."""
        y, entered, load = Signal(16), Signal(), Signal()
        m.d.sync += [entered.eq(enter), load.eq(entered), last_y.eq(y == 1)]
        with m.If(load | (self.step & last_x)):
            rows = Mux(self.last_tile, rows_left, self.layer.tile_rows)
            m.d.sync += y.eq(Mux(load, rows, y - 1))

    def _address(self, m, leave_word):
        """One adder: the next pixel, pixel 0 of the next word, or pixel 0 of the next tile.

        The word after the last one of a tile is the first one of the next tile.
        """
        bits, word_bytes = self._config.address_bits, self._config.word_bytes
        origin, after = Signal(bits), Signal(bits)      # origin: pixel 0 of this word
        stride = self.layer.out_words << (word_bytes - 1).bit_length()
        # by flags alone, early in the cycle: after `skip` addresses need not be right
        m.d.comb += after.eq(Mux(self.last_pixel & ~self.last_word, origin, self.address)
                             + Mux(self.last_pixel, word_bytes, stride))
        following = Mux(self.start, self.base, after)
        with m.If(self.step | leave_word | self.start):
            m.d.sync += self.address.eq(following)
        with m.If(leave_word | self.start):
            m.d.sync += origin.eq(following)
