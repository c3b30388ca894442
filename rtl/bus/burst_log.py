"""Addresses of the bursts in flight, so that an error response can be blamed on its burst."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out


class BurstLog(wiring.Component):
    """Queue of burst addresses with a count of the bursts in flight.

    One `push` and one `pop` per cycle. `oldest` is combinational and valid from the cycle after
    its push. Pushing while `full` or popping while `empty` is the caller's error.

    Parameters
    ----------
    address_bits: width of an address.
    depth: bursts in flight at most, a power of two.

    Members
    -------
    push, address: a burst is issued.
    pop: the oldest burst has been answered.
    oldest: address of the oldest burst in flight.
    empty, full: no burst, or `depth` bursts, in flight.
    """

    def __init__(self, address_bits: int, depth: int):
        self._address_bits = address_bits
        self._depth = depth
        super().__init__({
            "push": In(1), "address": In(address_bits), "pop": In(1),
            "oldest": Out(address_bits), "empty": Out(1, init=1), "full": Out(1),
        })

    @property
    def depth(self) -> int:
        return self._depth

    def elaborate(self, platform):
        m = Module()
        m.submodules.addresses = memory = Memory(
            shape=self._address_bits, depth=self._depth, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        count = Signal(range(self._depth + 1))
        m.d.comb += [
            write.en.eq(self.push),
            write.data.eq(self.address),
            self.oldest.eq(read.data),
            self.empty.eq(count == 0),
            self.full.eq(count == self._depth),
        ]
        with m.If(self.push):
            m.d.sync += write.addr.eq(write.addr + 1)
        with m.If(self.pop):
            m.d.sync += read.addr.eq(read.addr + 1)
        m.d.sync += count.eq(count + self.push - self.pop)
        return m
