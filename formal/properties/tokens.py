"""The tokens between load, multiply and store."""

from amaranth import *

from formal.harness import Harness
from formal.properties.bus import SMALL
from hqdm.rtl.multiply.accumulator import Accumulator
from hqdm.rtl.multiply.operands import OperandBuffer

ARRAY_LATENCY = 2


def operand_buffer(h: Harness) -> None:
    """A half is filled only when it has been given back, read only when it is complete.

    The sequencer gives a half back before it moves on from the next one.
    """
    dut = h.m.submodules.dut = OperandBuffer(SMALL)
    m, full, reading, upcoming = h.m, Signal(2), Signal(2), Signal()
    done = h.free(1, "done") & dut.free
    following = h.free(1, "next") & dut.ready & (reading == 0)
    release = h.free(1, "release") & (reading != 0)
    m.d.comb += [dut.done.eq(done), dut.next.eq(following), dut.release.eq(release)]
    m.d.sync += [full.eq(full + done - following), reading.eq(reading + following - release),
                 upcoming.eq(upcoming ^ following)]
    h.require("free", dut.free == (full + reading < 2))
    h.require("ready", dut.ready == (full != 0))
    h.require("bank", dut.bank == upcoming)
    h.goal("filled", done)
    h.goal("read", following)


def accumulator(h: Harness) -> None:
    """A bank is stored when its sums are written, and not filled before it has been stored."""
    dut = h.m.submodules.dut = Accumulator(SMALL, array_latency=ARRAY_LATENCY)
    m, control, read = h.m, dut.control, dut.read
    claims, fills, full = Signal(2), Signal(2), Signal(2)   # claimed; to be filled; to be stored
    claim = h.free(1, "claim") & dut.free
    fill = h.free(1, "fill") & (fills != 0)
    release = h.free(1, "release") & read.ready
    bank, stored = Signal(), Signal()
    value, kept = h.free(1, "value"), Signal(2)
    m.d.comb += [
        dut.claim.eq(claim), read.release.eq(release),
        read.take.eq(h.past(read.ready & ~release, "read")),
        control.valid.eq(fill), control.last.eq(1), control.first.eq(1), control.bank.eq(bank),
    ]
    m.d.sync += [
        claims.eq(claims + claim - release), fills.eq(fills + claim - fill),
        full.eq(full + fill - release), bank.eq(bank ^ fill), stored.eq(stored ^ release),
    ]
    with m.If(fill):
        m.d.sync += kept.bit_select(bank, 1).eq(value)
    source = value & fill
    for k in range(ARRAY_LATENCY):
        source = h.past(source, f"array{k}")
    for c in range(SMALL.n):
        m.d.comb += dut.sums[c].eq(source)
        if c % 2:               # columns come in pairs
            source = h.past(source, f"column{c}")
    h.require("free", dut.free == (claims < 2))
    h.require("write_bank", ~claim | (dut.write_bank == (bank ^ fills[0])))
    h.require("full", ~read.ready | (full != 0))
    taken = h.past(h.past(read.take, "take"), "taken")
    due = h.past(h.past(h.past(kept.bit_select(stored, 1), "due"), "due_later"), "due_last")
    for c in range(2):          # of the first pair; the second has a cycle more
        h.require(f"sum{c}", ~taken | (Mux(read.bank, read.data[1][c], read.data[0][c]) == due))
    h.goal("stored", release)
    h.goal("claimed", claim)
