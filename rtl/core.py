"""The accelerator core: load, multiply, store between an AXI4-Lite port and three AXI4 masters."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hqdm.rtl.bus.reader import AxiReader
from hqdm.rtl.bus.registers import RegisterBank
from hqdm.rtl.bus.writer import AxiWriter
from hqdm.rtl.control.controller import Controller
from hqdm.rtl.control.counters import Counters, IdleCause
from hqdm.rtl.control.fetch import Fetch
from hqdm.rtl.interfaces import AxiLite, AxiRead, AxiReadWrite
from hqdm.rtl.load.unit import LoadUnit
from hqdm.rtl.multiply.unit import MultiplyUnit
from hqdm.rtl.store.unit import StoreUnit
from hqdm.spec.config import Config
from hqdm.spec.registers import IDENTITY, REGISTER_SPACE_BITS


class Core(wiring.Component):
    """Everything of docs/architecture.md: one layer per START, the same program for every timestep.

    Parameters
    ----------
    config: the configuration to generate.

    Members
    -------
    aclk, aresetn: clock and synchronous active-low reset, registered: it acts a cycle later.
    interrupt: level, high while an enabled end-of-layer interrupt is pending.
    s_axil: registers. m_axi_load, m_axi_weight: read masters. m_axi_store: read and write master.
    """

    def __init__(self, config: Config):
        self._config = config
        read = AxiRead(config.address_bits, config.bus_bits)
        super().__init__({
            "aclk": In(1), "aresetn": In(1), "interrupt": Out(1),
            "s_axil": In(AxiLite(REGISTER_SPACE_BITS)),
            "m_axi_load": Out(read), "m_axi_weight": Out(read),
            "m_axi_store": Out(AxiReadWrite(config.address_bits, config.bus_bits)),
        })

    @property
    def config(self) -> Config:
        return self._config

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain("sync", reset_less=True)
        self._reset = reset = Signal(init=1)
        m.d.sync += reset.eq(~self.aresetn)
        m.d.comb += ClockSignal().eq(self.aclk)
        registers = self._add(m, "registers", RegisterBank())
        control = self._add(m, "control", Controller(self._config))
        connect(m, flipped(self.s_axil), registers.axil)
        self._engines(m, control)
        fetch = self._fetch(m, registers, control)
        units = self._units(m, control, fetch)
        self._connect_memory(m, control, fetch, units)
        self._registers(m, registers, control)
        self._count(m, registers, control, units)
        return m

    def _add(self, m, name, component, also=False):
        """`component` as a submodule, in reset with the core and while `also`; returns it.

        The clock domain has no reset, so that a register has one condition, not two.
        """
        m.submodules[name] = ResetInserter(self._reset | also)(component)
        return component

    def _engines(self, m, control):
        """The four AXI engines; they report faults and obey `abort`."""
        config = self._config
        self._load_reader = self._add(m, "load_reader", AxiReader(config))
        # a weight tile is n/2 beats: room for two tiles and the latency between them
        self._weight_reader = self._add(
            m, "weight_reader", AxiReader(config, max(64, 2 * config.n)))
        self._store_reader = self._add(m, "store_reader", AxiReader(config))
        self._writer = self._add(m, "writer", AxiWriter(config))
        connect(m, self._load_reader.axi, flipped(self.m_axi_load))
        connect(m, self._weight_reader.axi, flipped(self.m_axi_weight))
        store = self.m_axi_store
        for engine in (self._store_reader, self._writer):
            for name, member in engine.axi.signature.members.items():
                inner, outer = getattr(engine.axi, name), getattr(store, name)
                m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)
        engines = {"load": self._load_reader, "weight": self._weight_reader,
                   "store_read": self._store_reader, "store_write": self._writer}
        for name, engine in engines.items():
            m.d.comb += [
                engine.abort.eq(control.abort),
                getattr(control, f"{name}_fault").eq(engine.fault),
                getattr(control, f"{name}_decerr").eq(engine.decerr),
                getattr(control, f"{name}_address").eq(engine.fault_address),
            ]
        m.d.comb += control.idle.eq(Cat(e.idle for e in engines.values()).all())

    def _fetch(self, m, registers, control):
        """Descriptor and step table entry."""
        fetch = self._add(m, "fetch", Fetch(self._config), control.abort)
        m.d.comb += [
            fetch.start.eq(control.fetch_start),
            fetch.address.eq(Cat(registers.descriptor_low, registers.descriptor_high)),
            fetch.timestep.eq(registers.timestep),
            control.fetch_done.eq(fetch.done), control.fetch_fault.eq(fetch.fault),
            control.fetch_address.eq(fetch.fault_address),
        ]
        return fetch

    def _units(self, m, control, fetch):
        """Load, multiply and store, in reset unless a layer runs."""
        config = self._config
        load = self._add(m, "load", LoadUnit(config), ~control.running)
        multiply = self._add(m, "multiply", MultiplyUnit(config), ~control.running)
        store = self._add(m, "store", StoreUnit(config), ~control.running)
        for unit in (load, multiply, store):
            m.d.comb += [unit.layer.eq(fetch.layer), unit.start.eq(control.start)]
        m.d.comb += [load.step.eq(fetch.step), store.step.eq(fetch.step)]
        connect(m, load.write, multiply.write)
        connect(m, store.accumulator, multiply.accumulator)
        m.d.comb += [
            multiply.bank_done.eq(load.bank_done), load.bank_free.eq(multiply.bank_free),
            control.operand_overflow.eq(load.overflow),
            control.sum_overflow.eq(multiply.overflow),
            # the layer ends when the memory has acknowledged the last write
            control.layer_done.eq(store.done & self._writer.idle),
        ]
        return load, multiply, store

    def _connect_memory(self, m, control, fetch, units):
        """Units to engines; the store reader serves the fetch unit until the layer runs."""
        load, multiply, store = units
        owned = Signal()        # a layer runs; a cycle later, long before it reads anything
        m.d.sync += owned.eq(control.running)
        connect(m, load.read, self._load_reader.port)
        connect(m, multiply.read, self._weight_reader.port)
        connect(m, store.word, self._writer.word)
        port = self._store_reader.port
        for unit, selected in ((fetch, ~owned), (store, owned)):
            with m.If(selected):
                m.d.comb += [
                    port.request.valid.eq(unit.read.request.valid),
                    port.request.payload.eq(unit.read.request.payload),
                    port.beat.ready.eq(unit.read.beat.ready),
                ]
            m.d.comb += [
                unit.read.request.ready.eq(port.request.ready & selected),
                unit.read.beat.valid.eq(port.beat.valid & selected),
                unit.read.beat.payload.eq(port.beat.payload),
            ]

    def _registers(self, m, registers, control):
        """Register bank to controller."""
        m.d.comb += [
            registers.identity.eq(IDENTITY), registers.config_hash.eq(self._config.hash),
            control.control.eq(registers.control), control.watchdog.eq(registers.watchdog),
            registers.status.eq(control.status), registers.fault_code.eq(control.fault_code),
            registers.fault_address_low.eq(control.fault_address[:32]),
            registers.fault_address_high.eq(control.fault_address[32:]),
            registers.irq_status_set.eq(control.interrupt_set),
            self.interrupt.eq(registers.irq_status[0] & registers.irq_enable[0]),
        ]

    def _count(self, m, registers, control, units):
        """Performance counters and the watchdog's idea of progress."""
        load, multiply, store = units
        counters = self._add(m, "counters", Counters())
        cause = self._add(m, "cause", IdleCause())
        beats = {"load_beats": self._load_reader, "weight_beats": self._weight_reader,
                 "store_read_beats": self._store_reader, "store_write_beats": self._writer}
        m.d.comb += [
            cause.running.eq(control.running), cause.busy.eq(multiply.busy),
            cause.wait_operands.eq(multiply.wait_operands),
            cause.wait_weights.eq(multiply.wait_weights),
            cause.load_memory.eq(load.waiting_memory),
            cause.weight_memory.eq(multiply.waiting_memory),
            cause.store_memory.eq(store.waiting_memory | (store.done & ~self._writer.idle)),
            counters.clear.eq(control.begin),
        ]
        # counted a cycle later, so that what the units say may come late in its cycle
        m.d.sync += counters.count.cycles.eq(control.active)
        for name in cause.cause.shape().members:
            m.d.sync += counters.count[name].eq(control.active & cause.cause[name])
        for name, engine in beats.items():
            m.d.sync += counters.count[name].eq(engine.handshake & control.active)
        m.d.comb += [registers.counter_slot.eq(counters.slot),
                     registers.counter_value.eq(counters.value)]
        moved, progress = Cat(e.handshake for e in beats.values()).any(), Signal()
        m.d.sync += progress.eq(moved | multiply.busy | control.begin)
        m.d.comb += control.progress.eq(progress)
