"""A small core with the ports of the real one: checks the harnesses, not the accelerator.

It reads `bursts` bursts of `beats` beats at each of three addresses (one per port), writes the
exclusive or of the three streams to a fourth, and raises the interrupt.
"""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from hqdm.rtl.interfaces import AxiLite, AxiRead, AxiReadWrite

CONTROL, STATUS, BURSTS, BEATS = 0x08, 0x0C, 0x40, 0x44
LOAD, WEIGHT, SECOND, OUTPUT = 0x50, 0x54, 0x58, 0x5C
TOP = "copy_core"
MISTAKES = ("drop", "change", "size", "wlast")
DEPTH = 64


class Reader(Elaboratable):
    """Issues `bursts` reads from `address` and queues the beats."""

    def __init__(self, port, width, mistake):
        self.port, self.mistake = port, mistake
        self.start, self.error = Signal(), Signal()
        self.address, self.bursts, self.beats = Signal(32), Signal(16), Signal(5)
        self.fifo = SyncFIFOBuffered(width=width, depth=DEPTH)
        self.width = width

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = fifo = self.fifo
        port, left, free = self.port, Signal(16), Signal(range(DEPTH + 1), init=DEPTH)
        taken = fifo.r_en & fifo.r_rdy
        fired = port.arvalid & port.arready
        log_bytes = (self.width // 8).bit_length() - 1
        m.d.comb += [
            port.arlen.eq(self.beats - 1), port.arburst.eq(1),
            port.arsize.eq(log_bytes - (self.mistake == "size")),
            port.rready.eq(fifo.w_rdy), fifo.w_en.eq(port.rvalid), fifo.w_data.eq(port.rdata),
            self.error.eq(port.rvalid & port.rready & port.rresp.any()),
        ]
        m.d.sync += free.eq(free + taken - Mux(fired, self.beats, 0))
        with m.If(self.start):
            m.d.sync += [left.eq(self.bursts), port.araddr.eq(self.address)]
        with m.Elif(fired):
            m.d.sync += [port.arvalid.eq(0), left.eq(left - 1),
                         port.araddr.eq(port.araddr + (self.beats << log_bytes))]
        with m.Elif(port.arvalid):
            if self.mistake == "drop":
                m.d.sync += port.arvalid.eq(0)
            if self.mistake == "change":
                m.d.sync += port.araddr.eq(port.araddr + (1 << log_bytes))
        with m.Elif(left.any() & (free >= self.beats)):
            m.d.sync += port.arvalid.eq(1)
        return m


class CopyCore(wiring.Component):
    """The core above; `mistake` breaks one AXI rule on purpose."""

    def __init__(self, n=4, mistake="none"):
        self._n, self._mistake = n, mistake
        super().__init__({
            "aclk": In(1), "aresetn": In(1), "interrupt": Out(1), "s_axil": In(AxiLite(8)),
            "m_axi_load": Out(AxiRead(32, 8 * n)), "m_axi_weight": Out(AxiRead(32, 8 * n)),
            "m_axi_store": Out(AxiReadWrite(32, 8 * n)),
        })

    def registers(self, m):
        """AXI4-Lite: (register values by address, start pulse, status input)."""
        bus, status, start = self.s_axil, Signal(3), Signal()
        values = {a: Signal(32, name=f"r{a:02x}")
                  for a in (BURSTS, BEATS, LOAD, WEIGHT, SECOND, OUTPUT)}
        write = bus.awvalid & bus.wvalid & ~bus.bvalid
        m.d.comb += [bus.awready.eq(write), bus.wready.eq(write), bus.arready.eq(~bus.rvalid)]
        m.d.sync += start.eq(write & (bus.awaddr == CONTROL) & bus.wdata[0])
        with m.If(write):
            m.d.sync += bus.bvalid.eq(1)
        with m.Elif(bus.bready):
            m.d.sync += bus.bvalid.eq(0)
        with m.If(bus.arvalid & bus.arready):
            m.d.sync += [bus.rvalid.eq(1), bus.rdata.eq(0)]
        with m.Elif(bus.rready):
            m.d.sync += bus.rvalid.eq(0)
        for address, value in values.items():
            with m.If(write & (bus.awaddr == address)):
                m.d.sync += value.eq(bus.wdata)
        for address, value in [*values.items(), (STATUS, status)]:
            with m.If(bus.arvalid & bus.arready & (bus.araddr == address)):
                m.d.sync += bus.rdata.eq(value)
        return values, start, status

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = sync = ClockDomain()
        m.d.comb += [sync.clk.eq(self.aclk), sync.rst.eq(~self.aresetn)]
        values, start, status = self.registers(m)
        port, width = self.m_axi_store, 8 * self._n
        mistakes = (self._mistake, "none", "none")
        readers = [Reader(p, width, mistake) for p, mistake in zip(
            (self.m_axi_load, self.m_axi_weight, port), mistakes, strict=True)]
        for reader, address in zip(readers, (LOAD, WEIGHT, SECOND), strict=True):
            m.submodules += reader
            m.d.comb += [reader.start.eq(start), reader.address.eq(values[address]),
                         reader.bursts.eq(values[BURSTS]), reader.beats.eq(values[BEATS])]
        ready = Cat(r.fifo.r_rdy for r in readers).all()
        busy, fault, done = status[0], status[2], status[1]
        addresses, beats, answers = Signal(16), Signal(5), Signal(16)
        sent = port.wvalid & port.wready
        m.d.comb += [
            port.awburst.eq(1), port.awsize.eq((self._n).bit_length() - 1),
            port.awlen.eq(values[BEATS] - 1), port.wstrb.eq(-1), port.bready.eq(1),
            port.wdata.eq(readers[0].fifo.r_data ^ readers[1].fifo.r_data
                          ^ readers[2].fifo.r_data),
            port.wlast.eq(beats == (2 if self._mistake == "wlast" else 1)),
            port.wvalid.eq(ready & beats.any() & ~port.awvalid),
            self.interrupt.eq(done),
        ]
        m.d.comb += [r.fifo.r_en.eq(sent) for r in readers]
        with m.If(port.awvalid & port.awready):
            m.d.sync += [port.awvalid.eq(0), addresses.eq(addresses - 1),
                         port.awaddr.eq(port.awaddr + values[BEATS] * self._n)]
        with m.Elif(addresses.any() & ~beats.any() & ~port.awvalid):
            m.d.sync += [port.awvalid.eq(1), beats.eq(values[BEATS])]
        with m.If(sent):
            m.d.sync += beats.eq(beats - 1)
        with m.If(port.bvalid):
            m.d.sync += answers.eq(answers - 1)
        with m.If(Cat(r.error for r in readers).any() | (port.bvalid & port.bresp.any())):
            m.d.sync += fault.eq(1)
        with m.If(start):
            m.d.sync += [busy.eq(1), done.eq(0), fault.eq(0), port.awaddr.eq(values[OUTPUT]),
                         addresses.eq(values[BURSTS]), answers.eq(values[BURSTS])]
        with m.Elif(busy & ~answers.any()):
            m.d.sync += [busy.eq(0), done.eq(1)]
        return m
