"""M and bias of an output word, double-buffered: one set is used while the next is fetched."""

from typing import Any

from amaranth import *
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.memories import BLOCK, memory
from hqdm.rtl.store.lanes import CARRIER, lanes_of
from hqdm.spec.config import Config
from hqdm.spec.fixed import MULTIPLIER_BITS

GROUPS = 4          # lane groups of a word, one per cycle
READ_LATENCY = 3    # cycles from an address to its lane group, here and in `second`


def group_address() -> data.StructLayout:
    """A quarter of one of two sets; `group[1]` is the beat, `group[0]` the half of it."""
    return data.StructLayout({"group": 2, "set": 1})


def read_group(m, port, group, layout, name: str) -> Any:
    """The quarter `group` of the word whose beats `port` reads; READ_LATENCY cycles later.

    `port` is a synchronous memory port whose lowest address bit is group[1].
    """
    word = Signal(len(port.data), name=f"{name}_word", reset_less=True)    # the memory's own
    upper, chosen = Signal(2, name=f"{name}_upper"), Signal(layout, name=f"{name}_group")
    half = len(word) // 2           # group[0] chooses the half when the beat is there, 2 cycles on
    m.d.sync += [
        upper.eq(Cat(group[0], upper)), word.eq(port.data),
        chosen.eq(Mux(upper[1], word[half:], word[:half])),
    ]
    return chosen


class ParameterSets(Component):
    """Two sets of the n multipliers and n biases of an output word.

    A set is written from four beats (M low, M high, bias low, bias high) as soon as it is free.
    Multipliers and biases are read `store_lanes` at a time, READ_LATENCY cycles after their
    address. Throughput: one beat and one group of each per cycle.

    Members
    -------
    beat: beats of the sets in order; not ready while both sets are in use.
    available: the set `number` is complete. claim: go on to the other set.
    release: the older of the sets claimed has been read for the last time.
    multiplier_at, multipliers: group wanted, and READ_LATENCY cycles later its values.
    bias_at, bias: the same for the biases.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "beat": In(stream.Signature(config.bus_bits)),
            "available": Out(1), "number": Out(1), "claim": In(1), "release": In(1),
            "multiplier_at": In(group_address()),
            "multipliers": Out(lanes_of(MULTIPLIER_BITS, config.store_lanes)),
            "bias_at": In(group_address()),
            "bias": Out(lanes_of(CARRIER, config.store_lanes)),
        })

    def elaborate(self, platform):
        m = Module()
        index = Signal(3)                   # beat 0..3 of set 0 or 1
        taken, filled, free = Signal(), Signal(range(3)), Signal(range(3), init=2)
        complete, begun = Signal(), Signal()    # begun: one cycle late, `free` is wanted in four
        next_index, next_free = Signal(3), Signal(range(3))
        ready = Signal(init=1)              # within a set, or one is free
        m.d.comb += [
            next_index.eq(index + taken), next_free.eq(free + self.release - begun),
            self.beat.ready.eq(ready),
            taken.eq(self.beat.valid & self.beat.ready),
            complete.eq(taken & (index[:2] == 3)),
            self.available.eq(filled != 0),
        ]
        m.d.sync += [
            index.eq(next_index), free.eq(next_free),
            ready.eq((next_index[:2] != 0) | (next_free != 0)),
            filled.eq(filled + complete - self.claim),
            begun.eq(taken & (index[:2] == 0)),
            self.number.eq(self.number ^ self.claim),
        ]
        lanes = self._config.store_lanes
        # The beats of a set are M low, M high, bias low, bias high: bit 1 of the index is the kind.
        for kind, (name, shape, at, output) in enumerate((
                ("multiplier", MULTIPLIER_BITS, self.multiplier_at, self.multipliers),
                ("bias", CARRIER, self.bias_at, self.bias))):
            beats = memory(self._config.bus_bits, 4, **BLOCK)
            m.submodules[name] = beats
            write, read = beats.write_port(), beats.read_port()
            m.d.comb += [
                write.en.eq(taken & (index[1] == kind)),
                write.addr.eq(Cat(index[0], index[2])),
                write.data.eq(self.beat.payload),
                read.addr.eq(Cat(at.group[1], at.set)),
            ]
            m.d.comb += output.eq(read_group(m, read, at.group, lanes_of(shape, lanes), name))
        return m
