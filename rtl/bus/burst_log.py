"""Addresses of the bursts in flight, so that an error response can be blamed on its burst."""

from amaranth import *
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.counting import change
from hqdm.rtl.memories import BLOCK, memory


class BurstLog(Component):
    """Queue of burst addresses with a count of the bursts in flight.

    One `push` and one `pop` per cycle. Pushing while `full` or popping while `empty` is the
    caller's error. A burst is answered two cycles after its push at the earliest.

    Parameters
    ----------
    address_bits: width of an address.
    depth: bursts in flight at most, a power of two.

    Members
    -------
    push, address: a burst is issued.
    pop: the oldest burst has been answered.
    answered: address of what was the oldest burst in flight one cycle ago.
    empty, full: no burst, or `depth` bursts, in flight.
    """

    def __init__(self, address_bits: int, depth: int):
        self._address_bits = address_bits
        self._depth = depth
        super().__init__({
            "push": In(1), "address": In(address_bits), "pop": In(1),
            "answered": Out(address_bits), "empty": Out(1), "full": Out(1),
        })

    @property
    def depth(self) -> int:
        return self._depth

    def elaborate(self, platform):
        m = Module()
        m.submodules.addresses = addresses = memory(self._address_bits, self._depth, **BLOCK)
        write, read = addresses.write_port(), addresses.read_port()
        # The memory shows the oldest burst a cycle late, as late as an engine registers its answer.
        count = Signal(range(self._depth + 1))
        m.d.comb += [
            write.en.eq(self.push),
            write.data.eq(self.address),
            self.answered.eq(read.data),
            self.empty.eq(count == 0),
            self.full.eq(count[-1]),        # a power of two
        ]
        m.d.sync += [
            write.addr.eq(write.addr + self.push),
            read.addr.eq(read.addr + self.pop),
            count.eq(count + change(self.push, self.pop, len(count))),
        ]
        return m
