"""The chunks that have been requested and whose data are still to come."""

from amaranth import *
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.load.sequence import CHUNK
from hqdm.rtl.memories import memory


class ChunkQueue(Component):
    """A queue of chunks in block memory, from the side of the requests to that of the data.

    Deeper than beats can be ahead (a chunk has two at least), so `full` is never seen; it is there
    so that nothing is lost. Latency 3 cycles, one chunk in 3 cycles.

    Members
    -------
    i_valid, i: a chunk goes in, unless full (which leaves room for a few more).
    valid, chunk: the oldest, held until `next`.
    """

    DEPTH_BITS = 9
    latency = 3         # from `i_valid`, or from `next`, to `valid`
    _BLOCK = 3          # log2 of the entries that stay free

    def __init__(self):
        super().__init__({
            "i_valid": In(1), "i": In(CHUNK), "full": Out(1),
            "valid": Out(1), "chunk": Out(CHUNK), "next": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.chunks = chunks = memory(CHUNK, 1 << self.DEPTH_BITS, ram_style="block")
        write, read = chunks.write_port(), chunks.read_port(domain="comb")
        last, first = Signal(self.DEPTH_BITS), Signal(self.DEPTH_BITS)
        some, fetched = Signal(), Signal()
        row = Signal(CHUNK)     # the memory's own output register: block memory is slow
        m.d.comb += [write.addr.eq(last), write.data.eq(self.i), write.en.eq(self.i_valid),
                     read.addr.eq(first)]
        m.d.sync += [
            self.full.eq((last[self._BLOCK:] + 1)[:self.DEPTH_BITS - self._BLOCK]
                         == first[self._BLOCK:]),
            self.chunk.eq(row),
            fetched.eq(some & ~self.next), self.valid.eq(fetched & ~self.next),
        ]
        m.d.comb += some.eq(first != last)
        with m.If(some):        # so Yosys sees that no row is read while it is written
            m.d.sync += row.eq(read.data)
        with m.If(self.i_valid):
            m.d.sync += last.eq(last + 1)
        with m.If(self.next):
            m.d.sync += first.eq(first + 1)
        return m
