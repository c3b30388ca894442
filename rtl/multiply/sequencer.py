"""The multiply sequencer: walks the pixels of each pass and gathers operands for the array."""

from typing import Any, NamedTuple

from amaranth import *
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.interfaces import DESCRIPTOR_LAYOUT
from hqdm.rtl.modes import stride_is_1, stride_is_2
from hqdm.rtl.multiply.accumulator import MIN_PASS, control_layout
from hqdm.rtl.multiply.loops import Loops, pass_layout
from hqdm.spec.config import Config


def pipe(m, signal: Any, cycles: int, name: str) -> Any:
    """`signal`, `cycles` registers later."""
    for i in range(cycles):
        stage = Signal(signal.shape(), name=f"{name}_{i}")
        m.d.sync += stage.eq(signal)
        signal = stage
    return signal


class Edges(NamedTuple):
    """Whether the current pixel is in the first or last column or row of the tile; registers."""

    x_first: Signal
    x_last: Signal
    y_first: Signal
    y_last: Signal


class Pixels(Component):
    """Walks the output pixels of a pass, row by row, one per ``advance``.

    address = base + ((row >> up) - first row) * width + (column >> up), by addition: `stride` more
    per pixel, `stride` rows more per row; upsampled, one more whenever row or column is even:

        column of the tap      0 1 2 3 4 5        column_odd is its lowest bit
        stride 1               0 1 2 3 4 5        1 more for each pixel
        stride 1, upsampled    0 0 1 1 2 2        1 more after each odd column
        stride 2               0 . 2 . 4 .        2 more
        stride 2, upsampled    0 . 1 . 2 .        1 more

    Members
    -------
    layer, start: descriptor and begin pulse; the first ``advance`` takes the first pass.
    ahead: the next pass. current: this one. advance: go on, to ``ahead`` if ``pass_last``.
    pixel: of the tile. address: of its operands, which count unless ``outside``.
    pass_start, pass_last: the first and the last pixel. overflow: it is beyond the bank.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "start": In(1), "advance": In(1),
            "ahead": In(pass_layout(config)), "current": Out(pass_layout(config)),
            "pixel": Out(range(config.acc_words + 1)), "address": Out(range(config.buffer_words)),
            "outside": Out(1), "pass_start": Out(1), "pass_last": Out(1), "overflow": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        current = self.current
        edges = x_first, x_last, y_first, y_last = Edges(*(Signal() for _ in Edges._fields))
        m.d.comb += [
            self.pass_last.eq(x_last & y_last),
            self.outside.eq((current.left & x_first) | (current.right & x_last)
                            | (current.top & y_first) | (current.bottom & y_last)),
            self.overflow.eq(self.pixel[-1] | current.wide),
        ]
        self._count(m, edges)
        self._address(m, x_last)
        with m.If(self.advance):
            m.d.sync += [self.pixel.eq(self.pixel + 1), self.pass_start.eq(self.pass_last)]
            with m.If(self.pass_last):
                m.d.sync += [self.pixel.eq(0), current.eq(self.ahead)]
        with m.If(self.start):
            m.d.sync += [x_last.eq(1), y_last.eq(1), current.layer_last.eq(0)]
        return m

    def _count(self, m, edges: Edges) -> None:
        """Pixels left in the row and rows left in the tile; "last" is a register."""
        layer, bits = self.layer, len(self.ahead.rows)
        x_first, x_last, y_first, y_last = edges
        x, y, one_column = Signal(bits), Signal(bits), Signal()
        m.d.sync += one_column.eq(layer.out_width == 1)
        with m.If(self.advance):
            m.d.sync += x_first.eq(x_last)
            with m.If(x_last):
                m.d.sync += [x.eq(layer.out_width), x_last.eq(one_column), y_first.eq(y_last)]
                with m.If(y_last):
                    m.d.sync += [y.eq(self.ahead.rows), y_last.eq(self.ahead.one_row)]
                with m.Else():
                    m.d.sync += [y.eq(y - 1), y_last.eq(y == 2)]
            with m.Else():
                m.d.sync += [x.eq(x - 1), x_last.eq(x == 2)]

    def _address(self, m, x_last) -> None:
        """Operand address of the pixel and of the first one of its row."""
        layer, odd = self.layer, self.ahead.column_odd
        one, two = stride_is_1(layer), stride_is_2(layer)
        row, row_step = Signal.like(self.address), Signal.like(self.address)
        following = Signal.like(self.address)
        column_odd, row_odd, first_odd = Signal(), Signal(), Signal()
        once = Mux(layer.upsample, two | column_odd, one)
        twice = ~layer.upsample & two
        m.d.comb += [
            row_step.eq(Mux(twice, layer.width << 1, Mux(
                Mux(layer.upsample, two | row_odd, one), layer.width, 0))),
            following.eq(Mux(self.pass_last, self.ahead.base, row + row_step)),
        ]
        with m.If(self.advance):
            with m.If(x_last):
                m.d.sync += [
                    self.address.eq(following), row.eq(following),
                    column_odd.eq(Mux(self.pass_last, odd, first_odd)),
                    row_odd.eq(Mux(self.pass_last, self.ahead.row_odd, row_odd ^ one)),
                ]
            with m.Else():
                m.d.sync += [self.address.eq(self.address + Cat(once, twice)),
                             column_odd.eq(column_odd ^ one)]
            with m.If(self.pass_last):
                m.d.sync += first_odd.eq(odd)


class Sequencer(Component):
    """Issues one column of operands per cycle, pass after pass, without a bubble.

    A pass needs: a weight tile in the shadow weights (``loaded``), unless it is the second nibble
    of the activations; the operand half; a free accumulator bank at the first pass of an output
    word; and MIN_PASS cycles since the last one started. Operands reach the array ``latency``
    cycles after the issue; ``swap`` one cycle earlier than the first ones of a pass.

    Members
    -------
    layer, start: descriptor and begin pulse. loaded: from the weight loader.
    ready, bank, next, release, enable, address, read_bank, data: operand buffer.
    free, claim, write_bank: accumulator banks; a bank is claimed the cycle after the issue.
    operands, swap: to the array. control: to the sums.
    busy: a column was issued in the cycle before; wait_operands, wait_weights: why not.
    overflow: a pixel beyond the bank was.
    """

    latency = 3     # from issue to array input: address, buffer read, zero mask

    def __init__(self, config: Config):
        self._config = config
        operands = data.ArrayLayout(signed(config.operand_bits), config.n)
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "start": In(1), "loaded": In(1),
            "ready": In(1), "bank": In(1), "next": Out(1), "release": Out(1), "enable": Out(1),
            "address": Out(range(config.buffer_words)), "read_bank": Out(1), "data": In(operands),
            "free": In(1), "claim": Out(1), "write_bank": In(1),
            "operands": Out(operands), "swap": Out(1), "control": Out(control_layout(config)),
            "busy": Out(1), "wait_operands": Out(1), "wait_weights": Out(1), "overflow": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.loops = loops = Loops(self._config)
        m.submodules.pixels = pixels = Pixels(self._config)
        issue = Signal()
        m.d.comb += [
            loops.layer.eq(self.layer), loops.start.eq(self.start),
            pixels.layer.eq(self.layer), pixels.start.eq(self.start),
            pixels.ahead.eq(loops.ahead), pixels.advance.eq(issue | loops.prime),
            loops.step.eq(pixels.advance & pixels.pass_last),
        ]
        self._permission(m, pixels, issue, loops.prime, loops.step)
        self._outputs(m, pixels, issue)
        return m

    def _permission(self, m, pixels: Pixels, issue, prime, step) -> None:
        """May a column be issued, and if not, what is missing?

        `primed`: the loops have given the first pass. `credit`: the shadow weights hold a tile that
        no pass has used. A pass is MIN_PASS cycles long at least, so none begins (`started`) or
        ends, which asks the loops for the next one (`taken`), in the cycles after another.
        """
        active, primed, credit = Signal(), Signal(), Signal()
        begins, current = pixels.pass_start, pixels.current
        started, taken = Signal(MIN_PASS - 1), Signal(MIN_PASS - 1)     # passes, in the last cycles
        operands, bank, weights = Signal(), Signal(), Signal()
        m.d.comb += [
            operands.eq(primed & (~begins | self.ready)),
            bank.eq(~begins | ~current.first | self.free),
            weights.eq((~begins | ((credit | current.act) & ~started.any()))
                       & ~(pixels.pass_last & taken.any())),
            issue.eq(active & operands & bank & weights),
        ]
        m.d.sync += [
            self.busy.eq(issue), self.wait_operands.eq(active & ~operands),
            self.wait_weights.eq(active & operands & bank & ~weights),
            self.claim.eq(issue & begins & current.first),
            self.overflow.eq(issue & pixels.overflow),
            started.eq(Cat(issue & begins, started)), taken.eq(Cat(step, taken)),
        ]
        with m.If(self.start):
            m.d.sync += [active.eq(1), primed.eq(0), credit.eq(0)]
        with m.Else():
            with m.If(issue & pixels.pass_last & current.layer_last):
                m.d.sync += active.eq(0)
            with m.If(prime):
                m.d.sync += primed.eq(1)
            with m.If(self.loaded):
                m.d.sync += credit.eq(1)
            with m.Elif(issue & begins & ~current.act):
                m.d.sync += credit.eq(0)

    def _outputs(self, m, pixels: Pixels, issue) -> None:
        """Delay everything that travels with the operands to the array's input."""
        current = pixels.current
        control: Any = Signal(control_layout(self._config))
        m.d.comb += [
            control.valid.eq(issue), control.address.eq(pixels.pixel),
            control.first.eq(current.first), control.shift.eq(current.shift),
            control.last.eq(pixels.pass_last & current.out_last),
            self.next.eq(issue & pixels.pass_last & current.release),
            self.release.eq(pipe(m, self.next, 2, "release")),
            self.swap.eq(pipe(m, issue & pixels.pass_start & ~current.act, self.latency - 1,
                              "swap")),
        ]
        m.d.sync += [
            self.enable.eq(issue), self.address.eq(pixels.address), self.read_bank.eq(self.bank),
            self.control.eq(pipe(m, control, self.latency - 1, "control")),
            self.control.bank.eq(~self.write_bank),     # claimed by now
        ]
        # a register without reset, which may be that of the buffer's memories
        held = Signal.like(self.data.as_value(), reset_less=True)
        outside = pipe(m, pixels.outside, 3, "outside")
        m.d.sync += held.eq(self.data)
        m.d.comb += self.operands.eq(Mux(outside, 0, held))
