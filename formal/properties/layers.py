"""No deadlock between load, multiply and store: the three units, complete, on small layers."""

from unittest.mock import patch

from amaranth import *
from amaranth.hdl import Fragment
from amaranth.lib.wiring import connect

from formal.harness import Harness
from formal.properties.bus import SMALL
from hqdm.rtl.load.queue import ChunkQueue
from hqdm.rtl.load.unit import LoadUnit
from hqdm.rtl.multiply.unit import MultiplyUnit
from hqdm.rtl.store.unit import StoreUnit

LAYER = {
    "height": 1, "width": 1, "out_height": 1, "out_width": 1, "words0": 1, "out_words": 1,
    "tile_rows": 1, "chunk_words": 1, "chunks": 1, "plane_words": 1, "timesteps": 1,
    "kernel": 1, "stride": 1, "weight_bits": 4, "act_nibbles": 1, "weight_nibbles": 1,
    "row_bytes0": 2 * SMALL.n,
}


def layer(h: Harness, **fields) -> None:
    """From every state the layer can be in, it ends if memory goes on answering."""
    m, values = h.m, LAYER | fields
    load, multiply, store = LoadUnit(SMALL), MultiplyUnit(SMALL), StoreUnit(SMALL)
    start = h.past(C(1, 1), "started") == 0
    for name, unit in (("load", load), ("multiply", multiply), ("store", store)):
        with patch.object(ChunkQueue, "DEPTH_BITS", 2):
            m.submodules[f"dut_{name}"] = Fragment.get(unit, None)
        h.tie(unit.layer, 0)
        m.d.comb += [unit.layer[field].eq(value) for field, value in values.items()]
        m.d.comb += [unit.start.eq(start), unit.read.request.ready.eq(1)]
        h.drive(unit.read.beat.valid, f"{name}_beat")
    connect(m, load.write, multiply.write)
    connect(m, store.accumulator, multiply.accumulator)
    m.d.comb += [multiply.bank_done.eq(load.bank_done), load.bank_free.eq(multiply.bank_free)]
    sent, inside = store.word.push & (store.word.group == 3), Signal(4)
    taken = h.free(1, "taken") & (inside != 0)
    m.d.comb += store.word.taken.eq(taken)
    m.d.sync += inside.eq(inside + sent - taken)
    words = h.register(5, "words", lambda n: n + sent)
    h.require("all_words", ~store.done | (words == values["out_words"] * values["out_height"]))
    h.require("no_overflow", ~load.overflow & ~multiply.overflow)
    h.goal("done", store.done)


def one_word(h: Harness) -> None:
    """A layer of one output word ends, whatever memory does in between."""
    layer(h)


def three_words(h: Harness) -> None:
    """So does one that uses both accumulator banks, one twice."""
    layer(h, out_words=3)
