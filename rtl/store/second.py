"""The second operand (or row factors): words fetched ahead, read a lane group at a time."""

from amaranth import *
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.counting import change
from hqdm.rtl.memories import BLOCK, memory
from hqdm.rtl.store.lanes import CARRIER, lanes_of
from hqdm.rtl.store.parameters import read_group
from hqdm.spec.config import Config

WORDS = 8       # more than the words between the issue of a pixel and its second operand


class SecondOperand(Component):
    """Queue of words of the second operand.

    Words are claimed when their pixel is issued and read some cycles later, in order, the group
    `group` while `read` is high; the group's lanes come READ_LATENCY cycles after. Reading
    group 3 frees the word. Throughput: one beat in and one group out per cycle.

    Members
    -------
    beat: two beats per word; not ready while the queue is full.
    available: a complete word is unclaimed. claim: claim it.
    read, group: group wanted of the oldest claimed word. o: its values.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "beat": In(stream.Signature(config.bus_bits)),
            "available": Out(1), "claim": In(1),
            "read": In(1), "group": In(2), "o": Out(lanes_of(CARRIER, config.store_lanes)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = memory(self._config.bus_bits, 2 * WORDS, **BLOCK)
        write, read = words.write_port(), words.read_port()
        oldest = Signal(range(WORDS))
        beats = Signal(range(2 * WORDS + 1))        # in the queue
        complete, unclaimed = Signal(), Signal(range(WORDS + 1))
        freed = Signal()
        m.d.comb += [
            self.beat.ready.eq(~beats[-1]),     # never more than 2 * WORDS, a power of two
            write.en.eq(self.beat.valid & self.beat.ready),
            write.data.eq(self.beat.payload),
            complete.eq(write.en & write.addr[0]),
            self.available.eq(unclaimed != 0),
            freed.eq(self.read & (self.group == 3)),
            read.addr.eq(Cat(self.group[1], oldest)),
            self.o.eq(read_group(m, read, self.group, self.o.shape(), "second")),
        ]
        m.d.sync += [
            write.addr.eq(write.addr + write.en),
            beats.eq(beats + Cat(write.en, freed.replicate(len(beats) - 1))),    # + 1, - 2
            unclaimed.eq(unclaimed + change(complete, self.claim, len(unclaimed))),
            oldest.eq(oldest + freed),
        ]
        return m
