"""A queue in block RAM for a writer that counts the room itself."""

from amaranth import *
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.counting import change
from hqdm.rtl.memories import BLOCK, memory


class CreditQueue(Component):
    """Queue without a ready on its way in: the writer never pushes more than fits.

    One entry in and one out per cycle. Latency: `latency` cycles from `push` to `o.valid`; the
    output is a register behind the memory's own, both filled ahead.

    Parameters
    ----------
    width: bits of an entry. depth: entries, a power of two.

    Members
    -------
    push, data: an entry goes in.
    o: entries in order.
    """

    latency = 3

    def __init__(self, width: int, depth: int):
        self._width, self._depth = width, depth
        super().__init__({
            "push": In(1), "data": In(width), "o": Out(stream.Signature(width))})

    @property
    def depth(self) -> int:
        return self._depth

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = entries = memory(self._width, self._depth, **BLOCK)
        write, read = entries.write_port(), entries.read_port()
        stored = Signal(range(self._depth + 1))     # in the memory alone
        # memory -> its output (`fetched`) -> `payload` (`valid`): each moves up as soon as it may
        fetched, valid, move = Signal(), Signal(), Signal()     # in the memory's output, in `o`
        payload = Signal(self._width, reset_less=True)
        m.d.comb += [
            write.en.eq(self.push), write.data.eq(self.data),
            self.o.valid.eq(valid), self.o.payload.eq(payload),
            move.eq(fetched & (~valid | self.o.ready)),
            read.en.eq((stored != 0) & (~fetched | move)),
        ]
        m.d.sync += [
            write.addr.eq(write.addr + self.push), read.addr.eq(read.addr + read.en),
            stored.eq(stored + change(self.push, read.en, len(stored))),
            fetched.eq(read.en | (fetched & ~move)),
            valid.eq(move | (valid & ~self.o.ready)),
        ]
        with m.If(move):
            m.d.sync += payload.eq(read.data)
        return m
