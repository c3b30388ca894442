"""Stream rules of the weight stream: bus beats to rows in the array's shadow weights."""

from amaranth import *

from formal.harness import Harness
from formal.properties.bus import SMALL
from hqdm.rtl.multiply.weights import WeightLoader, WeightUnpack, extended

N = SMALL.n


def unpack(h: Harness) -> None:
    """Row r of a tile is made of its bits, whatever the pauses; tiles do not mix."""
    dut = h.m.submodules.dut = WeightUnpack(SMALL)
    m, bits = h.m, h.fixed(3, "bits")
    h.assume("bits", (bits >= 2) & (bits <= 4))
    m.d.comb += dut.bits.eq(bits)
    value = h.free(1, "value")
    accept, row_out = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready
    h.drive(dut.i.valid, "valid")
    h.drive(dut.o.ready, "ready")
    h.tie(dut.i.payload, value.replicate(SMALL.bus_bits))
    tile, beat, row = Signal(2), Signal(), Signal(range(N))
    m.d.sync += row.eq(row + row_out)
    with m.If(accept):
        m.d.sync += [tile.bit_select(beat, 1).eq(value), beat.eq(~beat & (bits != 2))]
    held = h.register(2, "held", lambda n: Mux(row_out & (row == N - 1), 0, n) + accept)
    h.require("one_tile", ~(accept & (held == Mux(bits == 2, 1, 2))) | (row_out & (row == N - 1)))
    stored = Cat(bit.replicate(SMALL.bus_bits) for bit in tile)
    expected = Signal(4 * N)
    with m.Switch(bits):
        for width in (2, 3, 4):
            with m.Case(width):
                part = stored.word_select(row, N * width)
                m.d.comb += expected.eq(Cat(Cat(
                    part[c * width:(c + 1) * width],
                    part[(c + 1) * width - 1].replicate(4 - width)) for c in range(N)))
    h.require("row", ~dut.o.valid | (extended(dut.o.payload, N) == expected))
    h.held("row", dut.o)
    h.goal("row", row_out)


def loader(h: Harness) -> None:
    """Tiles reach the array in order, whole, and only when the last one has been swapped in."""
    dut = h.m.submodules.dut = WeightLoader(SMALL)
    m, beat = h.m, dut.read.beat
    h.tie(dut.layer, 0)
    m.d.comb += dut.layer.weight_bits.eq(4)
    h.drive(beat.valid, "valid")
    waiting = Signal(2)                 # tiles in the shadow weights, not swapped in
    first = dut.enable & (dut.index == 0)
    swap = h.free(1, "swap") & (waiting != 0)
    m.d.sync += waiting.eq(waiting + first - swap)
    m.d.comb += dut.swap.eq(swap)
    h.require("not_overwritten", ~first | ((waiting - swap) == 0))
    h.require("loaded", dut.loaded == first)
    middle = h.past(dut.enable & (dut.index != N - 1), "middle")
    following = h.past(dut.index + 1, "following")
    h.require("no_pause", ~middle | (dut.enable & (dut.index == following)))
    h.require("first_row", middle | ~dut.enable | (dut.index == 0))
    row = Value.cast(dut.row)
    inside = h.in_order("beats", beat.valid & beat.ready, beat.payload,
                        dut.enable & ~dut.index[0], row[:SMALL.bus_bits // 2], bits=4)
    h.goal("pushed", first)
    h.goal("taken", (beat.valid & beat.ready) | (inside == 0))
