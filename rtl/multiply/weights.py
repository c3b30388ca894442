"""The weight stream: reads, unpacks and pushes weight tiles into the array."""

from amaranth import *
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.interfaces import DESCRIPTOR_LAYOUT, ReadPort
from hqdm.rtl.memories import memory
from hqdm.rtl.modes import kernel_is_3, two_weight_nibbles
from hqdm.rtl.multiply.countdown import Countdown
from hqdm.spec.config import Config


class WeightRequests(Component):
    """Read requests for the weight tiles, one per tile, the whole stream once per spatial tile.

    Members
    -------
    layer: the descriptor. start: begin. request: to the read port.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "start": In(1),
            "request": ReadPort(config).members["request"],
        })

    def _counters(self, m, taken) -> tuple[Value, Value]:
        """Tiles, words, output words and rows left; returns (restart, finished)."""
        layer = self.layer
        left, less = Signal(16), Signal(signed(17))
        tiles, words, outs = (Countdown(bits) for bits in (5, 17, 16))
        end = taken
        for name, count, load in (
            ("tiles", tiles, Mux(kernel_is_3(layer), 9, 1) << two_weight_nibbles(layer)),
            ("words", words, layer.words0 + layer.words1), ("outs", outs, layer.out_words),
        ):
            m.submodules[name] = count
            m.d.comb += [count.load.eq(load), count.step.eq(end),
                         count.reload.eq(self.start | (end & count.last))]
            end = end & count.last
        m.d.comb += less.eq(left - layer.tile_rows)
        with m.If(self.start):
            m.d.sync += left.eq(layer.out_height)
        with m.Elif(end):
            m.d.sync += left.eq(less)
        return end, end & (less <= 0)

    def elaborate(self, platform):
        m = Module()
        layer, request, config = self.layer, self.request, self._config
        low = config.bus_bytes.bit_length() - 1     # address bits within a beat
        active, address = Signal(), Signal(config.address_bits - low)
        beats, taken = Signal(range(config.n + 1)), Signal()
        with m.Switch(layer.weight_bits):
            for bits in (2, 3, 4):
                with m.Case(bits):
                    m.d.comb += beats.eq(config.weight_tile_beats(bits))
        m.d.comb += [
            taken.eq(active & request.ready), request.valid.eq(active),
            request.payload.beats.eq(beats),
            request.payload.address.eq(Cat(Const(0, low), address)),
        ]
        restart, finished = self._counters(m, taken)
        with m.If(self.start | restart):
            m.d.sync += [address.eq(layer.weights >> low), active.eq(self.start | ~finished)]
        with m.Elif(taken):
            m.d.sync += address.eq(address + beats)
        return m


def row_layout(config: Config) -> data.StructLayout:
    """A row of packed weights: 4 units of n bits and how to read them.

    `three`: it is of 3 bits; `other`: then it begins with the second unit, else it is of 2 bits.
    """
    return data.StructLayout({"units": 4 * config.n, "three": 1, "other": 1})


def extended(row, n: int):
    """The n weights of a row, sign-extended to 4 bits. One of four is selected by two bits.

    Weight c has its bits one beside the other, so of n weights of 2 bits that of c is bits
    2 c and 2 c + 1. A row of 3 bits can begin with the second unit, n bits further on.
    """
    def weight(begin, size):
        field = row.units[begin:begin + size]
        return Cat(field, field[-1].replicate(4 - size))
    return Cat(*(Mux(row.three, Mux(row.other, weight(3 * c + n, 3), weight(3 * c, 3)),
                     Mux(row.other, weight(2 * c, 2), weight(4 * c, 4))) for c in range(n)))


class WeightUnpack(Component):
    """Bus beats to rows of n weights: beats of 8 units of n bits, rows of 2, 3 or 4 units.

    One row per cycle while beats come; the bits that pad a tile to whole beats are dropped. A beat
    is taken when less than a row is left, so never the next tile's before the last row has gone.
    A row is a window that moves over the latest beat and the two units before it: with 3 bits that
    many may be left over. Of the 10 units, 2 to 9 are the latest beat:

        4 bits    the window begins at 2, 6                             2 rows of a beat
        2 bits    at 2, 4, 6, 8                                         4 rows of a beat
        3 bits    at 2, 5; the next beat comes, units 8 and 9 are now 0 and 1: at 0, 3, 6;
                  the next, unit 9 is now 1: at 1, 4, 7; at 2 again     8 rows of 3 beats

    Members
    -------
    bits: 2, 3 or 4. i: beats. o: rows of ``bits`` units, see `row_layout`.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "bits": In(3),
            "i": In(stream.Signature(config.bus_bits)),
            "o": Out(stream.Signature(row_layout(config))),
        })

    def _window(self, units, position) -> Value:
        """The 4 units at `position`, or before it if that is odd.

        Bit 0 of the position is left to `extended`, after the memory, where it costs no more. From
        8 on there are only two units: that is a row of 2 bits.
        """
        n = self._config.n
        words = [units[k * n:(k + 1) * n] for k in range(10)]
        window = []
        for j in range(4):
            low, high = (Mux(position[1], words[k + 2 + j], words[k + j]) for k in (0, 4))
            choice = Mux(position[2], high, low)
            window.append(Mux(position[3], words[8 + j], choice) if j < 2 else choice)
        return Cat(*window)

    def elaborate(self, platform):
        m = Module()
        n = self._config.n
        units = Signal(10 * n, reset_less=True)
        position, valid = Signal(range(9), init=2), Signal()
        row = Signal(range(n))
        following, spent, taken = Signal(range(16)), Signal(), Signal()
        m.d.comb += [
            taken.eq(valid & self.o.ready), self.o.valid.eq(valid),
            self.o.payload.units.eq(self._window(units, position)),
            self.o.payload.three.eq(self.bits == 3),
            self.o.payload.other.eq(Mux(self.bits == 3, position[0], self.bits == 2)),
            self.i.ready.eq(~valid | (taken & spent)),
        ]
        # A beat is spent when no further row fits behind this one: position + 2 * bits > 10.
        with m.Switch(self.bits):
            for bits in (2, 3, 4):
                with m.Case(bits):
                    m.d.comb += [
                        spent.eq((row == n - 1) | (position > 10 - 2 * bits)),
                        following.eq(Mux(position > 10 - 2 * bits, position + bits - 8,
                                         position + bits)),
                    ]
        with m.If(taken):
            m.d.sync += [row.eq(row + 1), valid.eq(~spent), position.eq(following)]
            with m.If(row == n - 1):
                m.d.sync += position.eq(2)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [valid.eq(1), units.eq(Cat(units[8 * n:], self.i.payload))]
        return m


class WeightLoader(Component):
    """Prefetches weight tiles and pushes them into the shadow weights of the array.

    Two tiles are held in a row memory. A tile is pushed, one row per cycle without a pause, once it
    is complete and the previous one has been swapped in (``swap``). ``loaded`` pulses as its first
    row is presented: operands issued from the next cycle on may use it.

    Members
    -------
    layer, start: descriptor and begin pulse. read: memory. swap: the array's swap input.
    enable, index, row: to the array. loaded: see above. waiting_memory: no beat has come.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "layer": In(DESCRIPTOR_LAYOUT), "start": In(1),
            "read": Out(ReadPort(config)),
            "swap": In(1),
            "enable": Out(1), "index": Out(range(config.n)),
            "row": Out(data.ArrayLayout(signed(4), config.n)),
            "loaded": Out(1), "waiting_memory": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        n = self._config.n
        m.submodules.requests = requests = WeightRequests(self._config)
        m.submodules.unpack = unpack = WeightUnpack(self._config)
        m.submodules.rows = rows = memory(row_layout(self._config), 2 * n)
        write, read = rows.write_port(), rows.read_port(domain="comb")
        m.d.comb += [
            requests.layer.eq(self.layer), requests.start.eq(self.start),
            self.read.request.payload.eq(requests.request.payload),
            self.read.request.valid.eq(requests.request.valid),
            requests.request.ready.eq(self.read.request.ready),
            unpack.bits.eq(self.layer.weight_bits),
            unpack.i.payload.eq(self.read.beat.payload),
            unpack.i.valid.eq(self.read.beat.valid),
            self.read.beat.ready.eq(unpack.i.ready),
        ]
        fill = Signal(range(2 * n))                 # row memory position being written
        drain = Signal(range(2 * n))                # and read
        full = Signal(2)                            # tiles complete in the row memory
        position = fill[:-1] if n > 1 else Const(0)
        m.d.comb += [
            unpack.o.ready.eq(~full.bit_select(fill[-1], 1)),
            write.en.eq(unpack.o.valid & unpack.o.ready),
            write.addr.eq(fill), write.data.eq(unpack.o.payload),
            self.waiting_memory.eq(unpack.o.ready & ~unpack.o.valid & ~self.read.beat.valid),
        ]
        with m.If(write.en):
            m.d.sync += fill.eq(fill + 1)
            with m.If(position == n - 1):
                m.d.sync += full.bit_select(fill[-1], 1).eq(1)
        self._push(m, read, drain, full)
        return m

    def _push(self, m, read, drain, full) -> None:
        """Read a complete tile row by row, and extend its weights."""
        n = self._config.n
        armed = Signal(init=1)                      # the shadow weights may be overwritten
        pushing, go = Signal(), Signal()
        first = drain[:-1] == 0                     # the upper bit is the tile, the others its row
        m.d.comb += [
            go.eq(pushing | ((armed | self.swap) & full.bit_select(drain[-1], 1) & first)),
            read.addr.eq(drain),
        ]
        m.d.sync += self.row.as_value().eq(extended(read.data, n))
        m.d.sync += [self.enable.eq(go), self.index.eq(drain[:-1]), self.loaded.eq(go & first)]
        with m.If(self.swap):
            m.d.sync += armed.eq(1)
        with m.If(go):
            m.d.sync += [drain.eq(drain + 1), pushing.eq(1)]
            with m.If(first):
                m.d.sync += armed.eq(0)
            with m.If(drain[:-1] == n - 1):
                m.d.sync += [pushing.eq(0), full.bit_select(drain[-1], 1).eq(0)]
