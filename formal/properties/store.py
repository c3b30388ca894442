"""Stream rules of the store unit's buffers."""

from amaranth import *

from formal.harness import Harness
from formal.properties.bus import SMALL
from hqdm.rtl.store.parameters import GROUPS, READ_LATENCY, ParameterSets
from hqdm.rtl.store.requests import StoreReads
from hqdm.rtl.store.second import SecondOperand


def second_operand(h: Harness) -> None:
    """Words are read in the order they came, each group of each."""
    dut = h.m.submodules.dut = SecondOperand(SMALL)
    beat = dut.beat
    half, count = Signal(SMALL.bus_bits // 2), Signal(2)
    accept = beat.valid & beat.ready
    h.drive(beat.valid, "valid")
    h.tie(beat.payload, Cat(half, half))
    claimed = Signal(4)
    claim = h.free(1, "claim") & dut.available
    read = h.free(1, "read") & (claimed != 0)
    freed = read & (count == GROUPS - 1)
    h.m.d.sync += claimed.eq(claimed + claim - freed)
    h.m.d.sync += count.eq(count + read)
    h.m.d.comb += [dut.claim.eq(claim), dut.read.eq(read), dut.group.eq(count)]
    group, out = Cat(read, count), Value.cast(dut.o)
    for k in range(READ_LATENCY):
        group = h.past(group, f"group{k}")
    inside = h.in_order("beats", accept, half, group[0] & group[1], out, bits=5)
    first = h.register(len(half), "first_half", lambda old: Mux(group[0] & ~group[1], out, old))
    h.require("both_halves", ~(group[0] & group[1]) | (out == first))
    h.goal("read", freed)
    h.goal("taken", accept | (inside == 0))


def parameter_sets(h: Harness) -> None:
    """A set in use is the one that came, and is not written."""
    dut = h.m.submodules.dut = ParameterSets(SMALL)
    m, beat = h.m, dut.beat
    index, spent = Signal(3), Signal()
    accept = beat.valid & beat.ready
    value = h.free(1, "value") & ~spent         # one beat is all ones, the others are 0
    h.m.d.sync += spent.eq(spent | (accept & value))
    h.drive(beat.valid, "valid")
    h.tie(beat.payload, value.replicate(SMALL.bus_bits))
    kept, used = Signal(8), Signal(2)           # beats of both sets; sets that may be read
    claim = h.free(1, "claim") & dut.available
    claims = Signal(2)
    release = h.free(1, "release") & (claims != 0)
    m.d.sync += claims.eq(claims + claim - release)
    oldest = h.register(1, "oldest", lambda s: s ^ release)
    m.d.comb += [dut.claim.eq(claim), dut.release.eq(release)]
    m.d.sync += index.eq(index + accept)
    with m.If(accept):
        m.d.sync += kept.bit_select(index, 1).eq(value)
        with m.If(index[:2] == 3):
            m.d.sync += used.bit_select(index[2], 1).eq(1)
    with m.If(release):
        m.d.sync += used.bit_select(oldest, 1).eq(0)
    h.require("not_overwritten", ~accept | ~used.bit_select(index[2], 1))
    h.require("available", ~dut.available | used.bit_select(dut.number, 1))
    kind = h.fixed(1, "kind")                   # multipliers or bias
    group, chosen = h.fixed(2, "group"), h.free(1, "set")
    for at in (dut.multiplier_at, dut.bias_at):
        m.d.comb += [at.group.eq(group), at.set.eq(chosen)]
    want = Cat(used.bit_select(chosen, 1),
               kept.bit_select(Cat(group[1], kind, chosen), 1))
    for k in range(READ_LATENCY):
        want = h.past(want, f"want{k}")
    out = Mux(kind, Value.cast(dut.bias), Value.cast(dut.multipliers))
    h.require("value", ~want[0] | (out == want[1].replicate(len(out))))
    h.goal("claimed", claim)
    h.goal("accepted", accept)


def store_reads(h: Harness) -> None:
    """Each beat goes, once, to the buffer that asked for it; requests are held."""
    dut = h.m.submodules.dut = StoreReads(SMALL)
    m, read, layer = h.m, dut.read, dut.layer
    h.tie(layer, 0)
    second = 1 << 12
    fields = {"out_words": 2, "out_height": 1, "out_width": 1, "tile_rows": 1,
              "multipliers": 0, "second": second, "residual": 1}
    m.d.comb += [layer[name].eq(value) for name, value in fields.items()]
    h.tie(dut.start, h.register(1, "started", lambda _: 1) == 0)
    request, beat = read.request, read.beat
    asked = request.valid & request.ready
    taken = beat.valid & beat.ready
    # the memory: kinds of the open requests, oldest first below a leading 1
    queue, half = Signal(4, init=1), h.register(1, "half", lambda half: half ^ taken)
    shifted = Mux(taken & half, queue >> 1, queue)
    kind = request.payload.address >= second
    place = Mux(shifted[3], 8, Mux(shifted[2], 4, Mux(shifted[1], 2, 1)))
    grown = Mux(asked, (shifted & ~place) | (place << 1) | Mux(kind, place, 0), shifted)
    m.d.sync += queue.eq(grown)
    h.tie(request.ready, h.free(1, "request_ready") & ~queue[3])        # three at most
    h.tie(beat.valid, h.free(1, "beat_valid") & (queue > 1))
    h.tie(beat.payload, queue[0])
    outputs = ((dut.parameters, 0), (dut.second, 1))
    for k, (output, _) in enumerate(outputs):
        h.drive(output.ready, f"ready{k}")
    moved = [output.valid & output.ready for output, _ in outputs]
    for k, (output, mine) in enumerate(outputs):
        h.require(f"sorted{k}", ~output.valid | (output.payload == mine))
    h.require("once", (moved[0] + moved[1]) == taken)
    h.held("request", request)
    beats = h.register(4, "beats", lambda n: n + taken)
    h.goal("all", beats == 2 * 2 * 3)           # of two words, M, bias and second operand

