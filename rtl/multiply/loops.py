"""The loop nest below the pixels: what each pass multiplies, one pass ahead of the array."""

from typing import NamedTuple

from amaranth import *
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.interfaces import DESCRIPTOR_LAYOUT
from hqdm.rtl.modes import kernel_is_3, stride_is_1, two_act_nibbles, two_weight_nibbles
from hqdm.rtl.multiply.countdown import Countdown
from hqdm.spec.config import Config


def pass_layout(config: Config) -> data.StructLayout:
    """A pass: where it begins and what is special about it.

    `base`: operand buffer word of its first pixel; `column_odd`, `row_odd`: of the upsampled input.
    `rows`: output rows of the tile; `one_row`: it is 1; `wide`: more pixels than any bank holds.
    `first`: overwrites the bank; `act`: reuses the weights; `shift`: nibble shift / 4.
    `left`, `right`, `top`, `bottom`: the outermost pixels of the tile on this side read padding.
    `release`: the last pass over these operands; `out_last`: of this bank; `layer_last`: of all.
    """
    flags = ("column_odd", "row_odd", "one_row", "wide", "first", "act", "left", "right", "top",
             "bottom", "release", "out_last", "layer_last")
    return data.StructLayout({
        "base": range(config.buffer_words), "rows": config.acc_words.bit_length(), "shift": 2,
        **dict.fromkeys(flags, 1)})


class Pass(NamedTuple):
    """The counters of the innermost loops."""

    act: Signal         # nibble of the activations
    weight: Signal      # nibble of the weights
    dx: Signal          # column of the tap
    dy: Signal          # row of the tap


class Chunk(NamedTuple):
    """The planes of a chunk are counted once, after ``start``."""

    counting: Signal    # a word per cycle
    counted: Signal     # this is the last cycle of it


class Tile(NamedTuple):
    """Which tile it is."""

    first: Signal
    odd: Signal         # its first input row, modulo 2, padding counted


class Loops(Component):
    """Counters of the loop nest below the pixels.

    for tile: for out word: for chunk: for word: for dy: for dx: for weight nibble: for act nibble.

    After ``start`` the planes of a chunk are counted, one word per cycle, which takes less than
    loading them; then ``prime`` says that the first pass is in ``ahead``. After ``step`` the next
    one is there 4 cycles later: counters, address of the tap, address of the pass, ``ahead``.

    Members
    -------
    layer, start: descriptor and begin pulse. step: ``ahead`` has been taken.
    ahead: the next pass, see `pass_layout`. prime: see above.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "start": In(1), "step": In(1),
            "ahead": Out(pass_layout(config)), "prime": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        counting, step, settle = Signal(), Signal(), Signal(3)
        # From the inside out: a loop ends when the one in it does in its last round.
        last: dict[str, Signal] = {}
        ends, end = {"step": step}, step
        for name in ("act", "weight", "dx", "dy", "word", "chunk", "out", "tile"):
            last[name], ends[name] = Signal(name=f"{name}_last"), Signal(name=f"{name}_end")
            m.d.comb += ends[name].eq(end & last[name])
            end = ends[name]
        counted = Signal()      # the words of a chunk
        m.d.sync += [step.eq(self.step), settle.eq(Cat(counted, settle))]
        m.d.comb += self.prime.eq(settle[-1])
        with m.If(self.start):
            m.d.sync += [counting.eq(1), settle.eq(0)]
        with m.Elif(counted):
            m.d.sync += counting.eq(0)
        chunk = Chunk(counting, counted)
        now = act, weight, dx, dy = self._passes(m, ends, last)
        first_word = self._words(m, ends, last, chunk)
        tile = self._tiles(m, ends, last)
        self._address(m, ends, chunk, now, tile)
        flags = self.ahead
        inner_first = ~(act | weight) & (dx == 0) & (dy == 0)
        inner_last = Cat(last[name] for name in ("act", "weight", "dx", "dy", "word")).all()
        word_last = last["chunk"] & last["out"]     # the last output word will be complete
        m.d.sync += [
            flags.first.eq(inner_first & first_word), flags.act.eq(act),
            flags.shift.eq(act + weight),
            flags.release.eq(inner_last & ((self.layer.chunks != 1) | word_last)),
            flags.out_last.eq(inner_last & last["chunk"]),
            flags.layer_last.eq(inner_last & word_last & last["tile"]),
        ]
        self._borders(m, last, now, tile)
        return m

    def _passes(self, m, ends, last) -> Pass:
        """The counters of nibbles and taps."""
        layer = self.layer
        act, weight, dx, dy = Signal(), Signal(), Signal(2), Signal(2)
        m.d.comb += [
            last["act"].eq(act == two_act_nibbles(layer)),
            last["weight"].eq(weight == two_weight_nibbles(layer)),
            # tap 2 of 3, or the only one
            last["dx"].eq(dx[1] | ~kernel_is_3(layer)), last["dy"].eq(dy[1] | ~kernel_is_3(layer)),
        ]
        for count, begins, name in ((act, "step", "act"), (weight, "act", "weight"),
                                    (dx, "weight", "dx"), (dy, "dx", "dy")):
            with m.If(self.start | ends[name]):
                m.d.sync += count.eq(0)
            with m.Elif(ends[begins]):
                m.d.sync += count.eq(count + 1)
        return Pass(act, weight, dx, dy)

    def _words(self, m, ends, last, chunk: Chunk) -> Signal:
        """The counters of channel words; returns "this is the first of all"."""
        layer = self.layer
        m.submodules.word = word = Countdown(self._config.buffer_words.bit_length())
        m.submodules.total = total = Countdown(17)
        m.submodules.out = out = Countdown(16)
        first = Signal()
        m.d.comb += [
            word.load.eq(layer.chunk_words), total.load.eq(layer.words0 + layer.words1),
            out.load.eq(layer.out_words),
            chunk.counted.eq(chunk.counting & word.last),
            word.step.eq(chunk.counting | ends["dy"]), total.step.eq(ends["dy"]),
            out.step.eq(ends["chunk"]),
            word.reload.eq(self.start | chunk.counted | ends["word"]),
            total.reload.eq(self.start | ends["chunk"]), out.reload.eq(self.start | ends["out"]),
        ]
        m.d.sync += [       # early enough for the step after
            last["word"].eq(word.last | total.last), last["chunk"].eq(total.last),
            last["out"].eq(out.last),
        ]
        with m.If(self.start | ends["chunk"]):
            m.d.sync += first.eq(1)
        with m.Elif(ends["dy"]):
            m.d.sync += first.eq(0)
        return first

    def _tiles(self, m, ends, last) -> Tile:
        """Output rows left."""
        layer, bits = self.layer, len(self.ahead.rows)
        left, rows, less = Signal(16), Signal(16), Signal(signed(17))
        first, odd, done = Signal(), Signal(), Signal()
        m.d.comb += [
            less.eq(left - layer.tile_rows), last["tile"].eq(done),
            rows.eq(Mux(done, left, layer.tile_rows)),
        ]
        m.d.sync += [
            done.eq(less <= 0), self.ahead.rows.eq(rows), self.ahead.one_row.eq(rows == 1),
            self.ahead.wide.eq((rows >> bits).any() | (layer.out_width >> bits).any()),
        ]
        with m.If(self.start):
            m.d.sync += [left.eq(layer.out_height), first.eq(1), odd.eq(layer.padding)]
        with m.Elif(ends["out"]):
            m.d.sync += [left.eq(less), first.eq(0),
                         odd.eq(odd ^ (layer.tile_rows[0] & stride_is_1(layer)))]
        return Tile(first, odd)

    def _address(self, m, ends, chunk: Chunk, now: Pass, tile: Tile) -> None:
        """base = plane of nibble and word + row of the tap * width + column of the tap.

        The row is relative to the first of the tile that is in the image: -1, 0, 1 or 2. `tap` is
        the plane and the row: at the top the plane, less a row if this is padding; then a row more
        for each `dy`, unless upsampling shows the same row again. One adder does it: -width is
        ~width + 1, and for this 1 both addends have a bit below.
        """
        layer, (act, _, dx, dy), (first_tile, odd) = self.layer, now, tile
        plane, planes, following, tap, offset = (
            Signal(range(self._config.buffer_words), name=name)
            for name in ("plane", "planes", "following", "tap", "offset"))
        step, moved = chunk.counting | ends["dy"], Signal()
        m.d.comb += following.eq(plane + layer.plane_words)
        with m.If(chunk.counting):
            m.d.sync += planes.eq(following)
        with m.If(self.start | chunk.counted | ends["word"]):
            m.d.sync += plane.eq(0)
        with m.Elif(step):
            m.d.sync += plane.eq(following)
        top, above = dy == 0, first_tile & layer.padding
        down = ~layer.upsample | ~(odd ^ dy[0])     # the tap's row is another one than before
        delta = Mux(top, Mux(above, ~layer.width, 0), Mux(down, layer.width, 0))
        m.d.sync += moved.eq(ends["dx"] | chunk.counted)
        with m.If(moved):
            m.d.sync += tap.eq((Cat(1, Mux(top, plane, tap))
                                + Cat(top & above, delta[:len(tap)])) >> 1)
        column = Signal(signed(3))
        m.d.comb += column.eq(dx - layer.padding)
        m.d.sync += [
            offset.eq(Mux(act, planes, 0) + Mux(layer.upsample, column >> 1, column)),
            self.ahead.base.eq(tap + offset), self.ahead.column_odd.eq(column[0]),
            self.ahead.row_odd.eq(odd ^ dy[0]),
        ]

    def _borders(self, m, last, now: Pass, tile: Tile) -> None:
        """Only the outermost pixels can read padding; on the far side not if a stride skips it.

        With stride 2 and padding on both sides, tap 2 of the last pixel is on the far padding
        exactly if the size is odd; upsampled, the size is even.
        """
        layer = self.layer

        def far(size):
            return layer.padding & (stride_is_1(layer) | (size[0] & ~layer.upsample))
        m.d.sync += [
            self.ahead.left.eq(layer.padding & (now.dx == 0)),
            self.ahead.right.eq(far(layer.width) & last["dx"]),
            self.ahead.top.eq(layer.padding & (now.dy == 0) & tile.first),
            self.ahead.bottom.eq(far(layer.height) & last["dy"] & last["tile"]),
        ]
