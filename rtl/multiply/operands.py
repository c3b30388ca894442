"""The double-buffered operand buffer between load and multiply."""

from amaranth import *
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.interfaces import OperandWrite
from hqdm.rtl.memories import memory
from hqdm.spec.config import Config


class OperandBuffer(Component):
    """Two halves of ``buffer_words`` words of n rotated-back operands.

    The load unit fills one half while the array reads the other. Read latency: 1 cycle.

    Members
    -------
    write: beats from the load unit; done: its half is complete; free: the next half may be filled.
    ready: the half ``bank``, to be read next, is complete; next: move on to the other half.
    release: hand the oldest half back, no earlier than the cycle of its last read.
    enable, address, read_bank, data: read port.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "write": In(OperandWrite(config)),
            "done": In(1), "free": Out(1),
            "ready": Out(1), "bank": Out(1), "next": In(1), "release": In(1),
            "enable": In(1), "address": In(range(config.buffer_words)), "read_bank": In(1),
            "data": Out(data.ArrayLayout(signed(config.operand_bits), config.n)),
        })

    def elaborate(self, platform):
        m = Module()
        config = self._config
        full, fill, drain = Signal(2), Signal(), Signal()
        m.d.comb += [
            self.free.eq(~full.bit_select(fill, 1)),
            self.ready.eq(full.bit_select(self.bank, 1)),
        ]
        with m.If(self.done):
            m.d.sync += [full.bit_select(fill, 1).eq(1), fill.eq(~fill)]
        with m.If(self.next):
            m.d.sync += self.bank.eq(~self.bank)
        with m.If(self.release):
            m.d.sync += [full.bit_select(drain, 1).eq(0), drain.eq(~drain)]
        width = config.lanes * config.operand_bits
        for half in range(2):
            # never read and written at one half
            lanes = memory(width, 2 * config.buffer_words, no_rw_check=1)
            m.submodules[f"lanes{half}"] = lanes
            write, read = lanes.write_port(), lanes.read_port()
            m.d.comb += [
                write.en.eq(self.write.enable & (self.write.upper == half)),
                write.addr.eq(Cat(self.write.address, self.write.bank)),
                write.data.eq(self.write.data),
                read.en.eq(self.enable),
                read.addr.eq(Cat(self.address, self.read_bank)),
                self.data.as_value()[half * width:(half + 1) * width].eq(read.data),
            ]
        return m
