"""The multiply sequencer: walks the loop nest and gathers operands for the array."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from rtl.interfaces import DESCRIPTOR_LAYOUT
from rtl.multiply.accumulator import MIN_PASS, control_layout
from spec.config import Config

SIGNED = signed(19)     # coordinates of upsampled, padded images


class Loops(wiring.Component):
    """Counters of the loop nest below the pixels, one step per pass.

    for tile: for out word: for chunk: for word: for dy: for dx: for weight nibble: for act nibble.

    Members
    -------
    layer, start: descriptor and begin pulse. step: the pass ends.
    act, weight, dx, dy: the pass; first/last flags of the enclosing loops.
    plane: operand buffer offset of the pass's nibble and word.
    tile_top: first padded input row of the tile, (tile's first output row) * stride - padding;
    rows: its output rows; ``next_*``: values after ``step``.
    """

    def __init__(self):
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "start": In(1), "step": In(1),
            "act": Out(1), "weight": Out(1), "plane": Out(32), "rows": Out(16),
            "next_dx": Out(2), "next_dy": Out(2), "tile_top": Out(SIGNED),
            "next_top": Out(SIGNED), "first": Out(1),
            "out_last": Out(1), "release": Out(1), "layer_last": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        layer, step = self.layer, self.step
        dx, dy = Signal(2), Signal(2)
        word, chunk, out_word, row = Signal(16), Signal(16), Signal(16), Signal(17)
        words = Signal(17)                      # words of this chunk and those after it
        plane, nibble_plane = Signal(32), Signal(32)
        counter = Signal(17)
        last = {}
        end = step
        ends = {}
        kernel_last = layer.kernel - 1
        for name, is_last in (
            ("act", self.act == layer.act_nibbles[1]),
            ("weight", self.weight == layer.weight_nibbles[1]),
            ("dx", dx == kernel_last), ("dy", dy == kernel_last),
            ("word", (word + 1 == layer.chunk_words) | (word + 1 == words)),
            ("chunk", chunk + 1 == layer.chunks), ("out", out_word + 1 == layer.out_words),
            ("tile", row + layer.tile_rows >= layer.out_height),
        ):
            last[name] = Signal(name=f"{name}_last")
            ends[name] = Signal(name=f"{name}_end")
            m.d.comb += [last[name].eq(is_last), ends[name].eq(end & is_last)]
            end = ends[name]
        m.d.comb += [
            self.plane.eq(plane + Mux(self.act, nibble_plane, 0)),
            self.rows.eq(Mux(last["tile"], layer.out_height - row, layer.tile_rows)),
            self.next_dx.eq(dx), self.next_dy.eq(dy), self.next_top.eq(self.tile_top),
        ]
        self._flags(m, last, dx, dy, word, chunk)
        self._advance(m, ends, dx, dy, word, chunk, out_word, row, words, plane)
        # chunk_words * plane_words, by addition while the first operands are loaded
        with m.If(counter < layer.chunk_words):
            m.d.sync += [counter.eq(counter + 1), nibble_plane.eq(nibble_plane + layer.plane_words)]
        with m.If(self.start):
            m.d.sync += [s.eq(0) for s in (
                dx, dy, word, chunk, out_word, row, plane, self.act, self.weight, counter,
                nibble_plane)]
            m.d.sync += [self.tile_top.eq(-layer.padding), words.eq(layer.words0 + layer.words1)]
        return m

    def _flags(self, m, last, dx, dy, word, chunk):
        """Flags of the current pass."""
        inner_first = ~(self.act | self.weight) & (dx == 0) & (dy == 0) & (word == 0)
        inner_last = last["act"] & last["weight"] & last["dx"] & last["dy"] & last["word"]
        resident = self.layer.chunks == 1
        m.d.comb += [
            self.first.eq(inner_first & (chunk == 0)),
            self.out_last.eq(inner_last & last["chunk"]),
            self.release.eq(inner_last & (~resident | last["out"])),
            self.layer_last.eq(self.out_last & last["out"] & last["tile"]),
        ]

    def _advance(self, m, ends, dx, dy, word, chunk, out_word, row, words, plane):
        """Counters at the end of a pass."""
        layer = self.layer
        with m.If(self.step):
            m.d.sync += self.act.eq(self.act + 1)
        with m.If(ends["act"]):
            m.d.sync += [self.act.eq(0), self.weight.eq(self.weight + 1)]
        with m.If(ends["weight"]):
            m.d.comb += self.next_dx.eq(dx + 1)
            m.d.sync += self.weight.eq(0)
        with m.If(ends["dx"]):
            m.d.comb += [self.next_dx.eq(0), self.next_dy.eq(dy + 1)]
        with m.If(ends["dy"]):
            m.d.comb += self.next_dy.eq(0)
            m.d.sync += [word.eq(word + 1), plane.eq(plane + layer.plane_words)]
        with m.If(ends["word"]):
            m.d.sync += [word.eq(0), plane.eq(0), chunk.eq(chunk + 1),
                         words.eq(words - layer.chunk_words)]
        with m.If(ends["chunk"]):
            m.d.sync += [chunk.eq(0), out_word.eq(out_word + 1),
                         words.eq(layer.words0 + layer.words1)]
        with m.If(ends["out"]):
            m.d.comb += self.next_top.eq(self.tile_top + (layer.tile_rows << (layer.stride == 2)))
            m.d.sync += [out_word.eq(0), row.eq(row + layer.tile_rows)]
        m.d.sync += [dx.eq(self.next_dx), dy.eq(self.next_dy), self.tile_top.eq(self.next_top)]


class Gather(wiring.Component):
    """Operand addresses: pixel and tap to operand buffer word, or a zero outside the image.

    address = plane + ((row >> up) - first source row of the tile) * width + (column >> up).
    Latency: 2 cycles to the buffer's address, ``inside`` alongside.

    Members
    -------
    layer: descriptor. row, column: upsampled input coordinates. top: see `Loops.tile_top`.
    plane: see `Loops`. address, inside: outputs. ``overflow`` is not checked: the load unit
    wrote these addresses.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "row": In(SIGNED), "column": In(SIGNED),
            "top": In(SIGNED), "plane": In(32),
            "address": Out(range(config.buffer_words)), "inside": Out(1),
        })

    latency = 2

    def elaborate(self, platform):
        m = Module()
        layer = self.layer
        inside, column, plane = Signal(), Signal(16), Signal.like(self.address)
        source_row, product = Signal(16), Signal.like(self.address)
        first = Mux(self.top < 0, 0, self.top) >> layer.upsample
        m.d.comb += source_row.eq((self.row >> layer.upsample) - first)
        m.d.sync += [
            inside.eq((self.row >= 0) & (self.row < (layer.height << layer.upsample))
                      & (self.column >= 0) & (self.column < (layer.width << layer.upsample))),
            column.eq(self.column >> layer.upsample), plane.eq(self.plane),
            product.eq(source_row[:len(product)] * layer.width),
            self.address.eq(plane + product + column), self.inside.eq(inside),
        ]
        return m


class Sequencer(wiring.Component):
    """Issues one column of operands per cycle, pass after pass, without a bubble.

    A pass needs: a weight tile in the shadow weights (``loaded``), unless it is the second nibble
    of the activations; the operand half; a free accumulator bank at the first pass of an output
    word; and MIN_PASS cycles since the last one started. Operands reach the array ``latency``
    cycles after the issue; ``swap`` one cycle earlier than the first ones of a pass.

    Members
    -------
    layer, start: descriptor and begin pulse. loaded: from the weight loader.
    ready, bank, next, release, enable, address, read_bank, data: operand buffer.
    free, claim, write_bank: accumulator banks. operands, swap: to the array. control: to the sums.
    busy: a column is issued; wait_operands, wait_weights, wait_bank: why not.
    finished: every pass of the layer has been issued. overflow: pixels beyond the bank.
    """

    def __init__(self, config: Config):
        self._config = config
        operands = data.ArrayLayout(signed(config.operand_bits), config.n)
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "start": In(1), "loaded": In(1),
            "ready": In(1), "bank": In(1), "next": Out(1), "release": Out(1), "enable": Out(1),
            "address": Out(range(config.buffer_words)), "read_bank": Out(1), "data": In(operands),
            "free": In(1), "claim": Out(1), "write_bank": In(1),
            "operands": Out(operands), "swap": Out(1), "control": Out(control_layout(config)),
            "busy": Out(1), "wait_operands": Out(1), "wait_weights": Out(1), "wait_bank": Out(1),
            "finished": Out(1), "overflow": Out(1),
        })

    @property
    def latency(self) -> int:
        """Cycles from issue to array input: gather, buffer read, zero mask."""
        return Gather.latency + 2

    def _pipe(self, m, signal, cycles, name):
        for i in range(cycles):
            stage = Signal(signal.shape(), name=f"{name}_{i}")
            m.d.sync += stage.eq(signal)
            signal = stage
        return signal

    def elaborate(self, platform):
        m = Module()
        layer = self.layer
        m.submodules.loops = loops = Loops()
        m.submodules.gather = gather = Gather(self._config)
        m.d.comb += [loops.layer.eq(layer), loops.start.eq(self.start), gather.layer.eq(layer)]
        active = Signal()
        x, y, pixel = Signal(16), Signal(16), Signal(range(self._config.acc_words + 1))
        row, column = Signal(SIGNED), Signal(SIGNED)
        pass_start, issue = Signal(), Signal()
        x_last, pass_last = Signal(), Signal()
        m.d.comb += [
            x_last.eq(x + 1 == layer.out_width),
            pass_last.eq(x_last & (y + 1 == loops.rows)),
            loops.step.eq(issue & pass_last),
            self.busy.eq(issue), self.finished.eq(~active),
            self.overflow.eq(issue & (pixel == self._config.acc_words)),
        ]
        bank = self._permission(m, loops, active, pass_start, issue)
        with m.If(issue):
            m.d.sync += [x.eq(x + 1), column.eq(column + layer.stride), pixel.eq(pixel + 1),
                         pass_start.eq(pass_last)]
            with m.If(x_last):
                m.d.sync += [x.eq(0), y.eq(y + 1), row.eq(row + layer.stride),
                             column.eq(loops.next_dx - layer.padding)]
            with m.If(pass_last):
                m.d.sync += [y.eq(0), pixel.eq(0), row.eq(loops.next_top + loops.next_dy),
                             active.eq(~loops.layer_last)]
        with m.If(self.start):
            m.d.sync += [active.eq(1), pass_start.eq(1), x.eq(0), y.eq(0), pixel.eq(0),
                         row.eq(-layer.padding), column.eq(-layer.padding)]
        m.d.comb += [gather.row.eq(row), gather.column.eq(column), gather.top.eq(loops.tile_top),
                     gather.plane.eq(loops.plane)]
        self._outputs(m, loops, gather, issue, pass_start, pass_last, pixel, bank)
        return m

    def _permission(self, m, loops, active, pass_start, issue):
        """May a column be issued, and if not, what is missing? Returns the accumulator bank."""
        credit, age = Signal(2), Signal(range(MIN_PASS + 1), init=MIN_PASS)
        bank = Signal()
        new_weights = pass_start & ~loops.act
        rested = ~pass_start | (age == MIN_PASS)
        claims = pass_start & loops.first
        m.d.comb += [
            self.wait_operands.eq(active & pass_start & ~self.ready),
            self.wait_bank.eq(active & ~self.wait_operands & claims & ~self.free),
            self.wait_weights.eq(active & ~self.wait_operands & ~self.wait_bank
                                 & ((new_weights & (credit == 0)) | ~rested)),
            issue.eq(active & ~self.wait_operands & ~self.wait_bank & ~self.wait_weights),
            self.claim.eq(issue & claims),
        ]
        with m.If(self.claim):
            m.d.sync += bank.eq(self.write_bank)
        m.d.sync += credit.eq(credit + self.loaded - (issue & new_weights))
        with m.If(issue & pass_start):
            m.d.sync += age.eq(1)
        with m.Elif(age != MIN_PASS):
            m.d.sync += age.eq(age + 1)
        with m.If(self.start):
            m.d.sync += credit.eq(0)
        return Mux(self.claim, self.write_bank, bank)

    def _outputs(self, m, loops, gather, issue, pass_start, pass_last, pixel, bank):
        """Delay everything that travels with the operands to the array's input."""
        control = Signal(control_layout(self._config))
        m.d.comb += [
            control.valid.eq(issue), control.address.eq(pixel), control.first.eq(loops.first),
            control.shift.eq(loops.act + loops.weight), control.bank.eq(bank),
            control.last.eq(pass_last & loops.out_last),
            self.next.eq(issue & pass_last & loops.release),
            self.enable.eq(self._pipe(m, issue, gather.latency, "enable")),
            self.address.eq(gather.address),
            self.read_bank.eq(self._pipe(m, self.bank, gather.latency, "read_bank")),
            self.release.eq(self._pipe(m, self.next, gather.latency, "release")),
            self.swap.eq(self._pipe(
                m, issue & pass_start & ~loops.act, self.latency - 1, "swap")),
            self.control.eq(self._pipe(m, control, self.latency, "control")),
        ]
        inside = self._pipe(m, gather.inside, 1, "inside")
        with m.If(inside):
            m.d.sync += self.operands.eq(self.data)
        with m.Else():
            m.d.sync += self.operands.eq(0)
