"""The weight stream: reads, unpacks and pushes weight tiles into the array."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from rtl.interfaces import DESCRIPTOR_LAYOUT, ReadPort
from spec.config import Config


class WeightRequests(wiring.Component):
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

    def elaborate(self, platform):
        m = Module()
        layer, request = self.layer, self.request
        active = Signal()
        row = Signal(17)                        # first output row of the spatial tile
        out_word, word = Signal(16), Signal(17)
        tile = Signal(range(18))                # tap and nibble
        address = Signal(self._config.address_bits)
        tiles, beats = Signal(range(19)), Signal(range(self._config.n + 1))
        with m.Switch(layer.weight_bits):
            for bits in (2, 3, 4):
                with m.Case(bits):
                    m.d.comb += beats.eq(self._config.weight_tile_beats(bits))
        m.d.comb += [
            tiles.eq(Mux(layer.kernel == 3, 9, 1) << (layer.weight_nibbles == 2)),
            request.valid.eq(active),
            request.payload.beats.eq(beats), request.payload.address.eq(address),
        ]
        with m.If(active & request.ready):
            m.d.sync += [
                tile.eq(tile + 1),
                address.eq(address + (beats << self._config.bus_bytes.bit_length() - 1)),
            ]
            with m.If(tile + 1 == tiles):
                m.d.sync += [tile.eq(0), word.eq(word + 1)]
                with m.If(word + 1 == layer.words0 + layer.words1):
                    m.d.sync += [word.eq(0), out_word.eq(out_word + 1)]
                    with m.If(out_word + 1 == layer.out_words):
                        m.d.sync += [
                            out_word.eq(0), row.eq(row + layer.tile_rows),
                            address.eq(layer.weights),
                            active.eq(row + layer.tile_rows < layer.out_height),
                        ]
        with m.If(self.start):
            m.d.sync += [active.eq(1), row.eq(0), out_word.eq(0), word.eq(0), tile.eq(0),
                         address.eq(layer.weights)]
        return m


class WeightUnpack(wiring.Component):
    """Bus beats to rows of n weights: a gearbox of 8n bits in and n * bits out.

    One row per cycle while beats come; the bits that pad a tile to whole beats are dropped. A beat
    is taken when less than a row is left, so never the next tile's before the last row has gone,
    and with 3 bits at most two weights per column are left: three insert positions do.

    Members
    -------
    bits: 2, 3 or 4. i: beats. o: rows of n sign-extended weights.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "bits": In(3),
            "i": In(stream.Signature(config.bus_bits)),
            "o": Out(stream.Signature(data.ArrayLayout(signed(4), config.n))),
        })

    def _row(self, store, bits):
        n = self._config.n
        return Cat(*(Cat(store[c * bits:(c + 1) * bits],
                         store[(c + 1) * bits - 1].replicate(4 - bits)) for c in range(n)))

    def elaborate(self, platform):
        m = Module()
        n = self._config.n
        store = Signal(10 * n)
        count = Signal(range(11))       # weights per column held, in units of n bits
        row = Signal(range(n))
        left, rest = Signal(range(11)), Signal(10 * n)
        m.d.comb += [self.o.valid.eq(count >= self.bits), left.eq(count), rest.eq(store)]
        with m.Switch(self.bits):
            for bits in (2, 3, 4):
                with m.Case(bits):
                    m.d.comb += self.o.payload.as_value().eq(self._row(store, bits))
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += row.eq(row + 1)
            with m.If(row == n - 1):
                m.d.comb += [left.eq(0), rest.eq(0)]
            with m.Else():
                m.d.comb += left.eq(count - self.bits)
                with m.Switch(self.bits):
                    for bits in (2, 3, 4):
                        with m.Case(bits):
                            m.d.comb += rest.eq(store >> bits * n)
        m.d.comb += self.i.ready.eq(left < self.bits)
        m.d.sync += [count.eq(left), store.eq(rest)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += count.eq(left + 8)
            with m.Switch(left):
                for units in range(3):
                    with m.Case(units):
                        m.d.sync += store.eq(Cat(rest[:units * n], self.i.payload))
        return m


class WeightLoader(wiring.Component):
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
        m.submodules.rows = memory = Memory(
            shape=4 * n, depth=2 * n, init=[], attrs={"no_rw_check": 1})
        write, read = memory.write_port(), memory.read_port()
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

    def _push(self, m, read, drain, full):
        """Read a complete tile row by row; the memory makes the row a cycle late."""
        n = self._config.n
        armed = Signal(init=1)                      # the shadow weights may be overwritten
        pushing, go = Signal(), Signal()
        first = drain[:-1] == 0
        m.d.comb += [
            go.eq(pushing | ((armed | self.swap) & full.bit_select(drain[-1], 1) & first)),
            read.en.eq(go), read.addr.eq(drain),
            self.row.as_value().eq(read.data),
        ]
        m.d.sync += [self.enable.eq(go), self.index.eq(drain[:-1]), self.loaded.eq(go & first)]
        with m.If(self.swap):
            m.d.sync += armed.eq(1)
        with m.If(go):
            m.d.sync += [drain.eq(drain + 1), pushing.eq(1)]
            with m.If(first):
                m.d.sync += armed.eq(0)
            with m.If(drain[:-1] == n - 1):
                m.d.sync += [pushing.eq(0), full.bit_select(drain[-1], 1).eq(0)]
