"""AXI4-Lite register bank, generated from `hqdm.spec.registers`."""

from typing import Any

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.rtl.interfaces import AxiLite
from hqdm.spec.registers import (
    ADDRESS,
    COUNTERS,
    REGISTER_SPACE_BITS,
    REGISTERS,
    WATCHDOG_RESET,
    Register,
)

RESET = {"watchdog": WATCHDOG_RESET}
OKAY, SLVERR = 0, 2
FIRST_COUNTER = ADDRESS[COUNTERS[0][0]] >> 2
COUNTER_NAMES = {name for name, _ in COUNTERS}
OTHERS = tuple(r for r in REGISTERS if r.name not in COUNTER_NAMES)


def _members(register: Register) -> dict[str, wiring.Member]:
    """Ports of one register, by access."""
    name = register.name
    if register.access == "ro":
        return {name: In(32)}
    if register.access == "w1c":
        return {name: Out(32), f"{name}_set": In(32)}
    start: dict[str, Any] = {"init": RESET.get(name, 0)}     # amaranth-stubs have no `init`
    return {name: Out(32, **start)}


class RegisterBank(Component):
    """The registers of `hqdm.spec.registers.REGISTERS` behind AXI4-Lite.

    One access at a time in each direction; address and data of a write may come in any order.
    Write strobes are respected. An address without a register, or without a register that can
    be accessed that way (a write to `ro`), is answered with SLVERR; a read of `wo` returns 0.

    Latency: a write acts one cycle after its address and data are both there, `bvalid` with it; a
    `wo` register shows what was written one cycle later;
    a read samples one cycle after its address, `rvalid` with it; a read of a counter samples when
    the counter is shown next.

    Members
    -------
    axil: AXI4-Lite slave.
    counter_slot, counter_value: see `hqdm.rtl.control.counters`; these are `ro` registers.
    <name> of another `ro` register: value to read.
    <name> of a `rw` register: what was written last.
    <name> of a `wo` register: the written value for one cycle, else 0; a register.
    <name> of a `w1c` register: bits set by <name>_set, cleared by writing 1; setting wins.
    """

    def __init__(self):
        members = {"axil": In(AxiLite(REGISTER_SPACE_BITS)),
                   "counter_slot": In(range(len(COUNTERS))), "counter_value": In(32)}
        for register in OTHERS:
            members |= _members(register)
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        self._read(m)
        write, address, value, strobe = self._accept_write(m)
        for register in OTHERS:
            if register.access != "ro":
                selected = Signal(name=f"{register.name}_selected")
                m.d.comb += selected.eq(write & (address == register.address >> 2))
                self._apply(m, register, selected, value, strobe)
        return m

    def _read(self, m):
        """AR and R channels."""
        axi, reading, wait = self.axil, Signal(), Signal()
        address = Signal(REGISTER_SPACE_BITS - 2)
        counter = Signal(len(address))
        m.d.comb += [axi.arready.eq(~reading & ~axi.rvalid),
                     counter.eq(address - FIRST_COUNTER)]
        with m.If(axi.arvalid & axi.arready):
            m.d.sync += [reading.eq(1), address.eq(axi.araddr[2:])]
        with m.If(axi.rready):
            m.d.sync += axi.rvalid.eq(0)
        with m.If(counter < len(COUNTERS)):
            m.d.comb += wait.eq(counter != self.counter_slot)
        with m.If(reading):
            # SLVERR and 0, unless there is such a register
            m.d.sync += [reading.eq(wait), axi.rvalid.eq(~wait), axi.rdata.eq(0),
                         axi.rresp.eq(SLVERR)]
            with m.Switch(address):
                for register in OTHERS:
                    with m.Case(register.address >> 2):
                        m.d.sync += axi.rresp.eq(OKAY)
                        if register.access != "wo":
                            m.d.sync += axi.rdata.eq(getattr(self, register.name))
            with m.If(counter < len(COUNTERS)):
                m.d.sync += [axi.rresp.eq(OKAY), axi.rdata.eq(self.counter_value)]

    def _accept_write(self, m):
        """AW, W and B channels; returns "write now", word address, value and strobes."""
        axi = self.axil
        have_address, have_data, write = Signal(), Signal(), Signal()
        address, value, strobe = Signal(REGISTER_SPACE_BITS - 2), Signal(32), Signal(4)
        m.d.comb += [
            axi.awready.eq(~have_address),
            axi.wready.eq(~have_data),
            write.eq(have_address & have_data & ~axi.bvalid),
        ]
        with m.If(axi.bready):
            m.d.sync += axi.bvalid.eq(0)
        with m.If(write):               # not before the answer to the last one has been taken
            m.d.sync += [have_address.eq(0), have_data.eq(0), axi.bvalid.eq(1),
                         axi.bresp.eq(SLVERR)]
            with m.Switch(address):
                for register in REGISTERS:
                    if register.access != "ro":
                        with m.Case(register.address >> 2):
                            m.d.sync += axi.bresp.eq(OKAY)
        with m.If(axi.awvalid & axi.awready):
            m.d.sync += [have_address.eq(1), address.eq(axi.awaddr[2:])]
        with m.If(axi.wvalid & axi.wready):
            m.d.sync += [have_data.eq(1), value.eq(axi.wdata), strobe.eq(axi.wstrb)]
        return write, address, value, strobe

    def _apply(self, m, register, selected, value, strobe):
        """Effect of a write on one register."""
        target, mask = getattr(self, register.name), Cat(bit.replicate(8) for bit in strobe)
        if register.access == "rw":
            for i in range(4):
                with m.If(selected & strobe[i]):
                    m.d.sync += target.word_select(i, 8).eq(value.word_select(i, 8))
        elif register.access == "wo":
            m.d.sync += target.eq(Mux(selected, value & mask, 0))
        elif register.access == "w1c":
            clear = Mux(selected, value & mask, 0)
            m.d.sync += target.eq((target & ~clear) | getattr(self, f"{register.name}_set"))
