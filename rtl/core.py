"""The accelerator core: load, multiply, store between an AXI4-Lite port and three AXI4 masters."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from amaranth import *
from amaranth.lib.wiring import In, Out, connect

from hqdm.rtl.bus.reader import AxiReader
from hqdm.rtl.bus.registers import RegisterBank
from hqdm.rtl.bus.writer import AxiWriter
from hqdm.rtl.component import Component
from hqdm.rtl.control.controller import Controller
from hqdm.rtl.control.counters import Counters, IdleCause
from hqdm.rtl.control.fetch import Fetch
from hqdm.rtl.interfaces import AxiLite, AxiRead, AxiReadWrite
from hqdm.rtl.load.unit import LoadUnit
from hqdm.rtl.multiply.unit import MultiplyUnit
from hqdm.rtl.store.unit import StoreUnit
from hqdm.spec.config import Config
from hqdm.spec.registers import IDENTITY, REGISTER_SPACE_BITS


class Engines(NamedTuple):
    """The AXI engines. The controller's faults and the counters of beats have these names too."""

    load: AxiReader
    weight: AxiReader
    store_read: AxiReader
    store_write: AxiWriter


class Units(NamedTuple):
    """What is in reset unless a layer runs."""

    load: LoadUnit
    multiply: MultiplyUnit
    store: StoreUnit


def _add(m, reset, name: str, component: Any, also=False) -> Any:
    """`component` as a submodule, in reset with the core and while `also`; returns it.

    The clock domain has no reset, so that a register has one condition, not two.
    """
    m.submodules[name] = ResetInserter(reset | also)(component)
    return component


Add = Callable[..., Any]    # `_add` with its first two arguments


def _border(m, awake, inner: Any, outer: Any) -> None:
    """Connect a bus of the core to its port; in reset no transfer is offered, seen or accepted.

    The reset acts a cycle late: until then the core would go on with what it had begun, and lose
    what it was given.
    """
    for name, member in inner.signature.members.items():
        source, target = getattr(inner, name), getattr(outer, name)
        if member.flow is In:
            source, target = target, source
        handshake = name.endswith(("valid", "ready"))
        m.d.comb += target.eq(source & awake if handshake else source)


class Core(Component):
    """Everything of docs/architecture.md: one layer per START, the same program for every timestep.

    Parameters
    ----------
    config: the configuration to generate.

    Members
    -------
    aclk, aresetn: clock and synchronous active-low reset of at least one cycle.
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
        reset = Signal(init=1, name="_reset")
        m.d.sync += reset.eq(~self.aresetn)
        m.d.comb += ClockSignal().eq(self.aclk)
        add, border = partial(_add, m, reset), partial(_border, m, self.aresetn & ~reset)
        registers = add("registers", RegisterBank())
        control = add("control", Controller(self._config))
        border(registers.axil, self.s_axil)
        engines = self._engines(m, add, border, control)
        fetch = self._fetch(m, add, registers, control)
        units = self._units(m, add, control, fetch, engines)
        self._connect_memory(m, control, fetch, units, engines)
        self._registers(m, registers, control)
        self._count(m, add, registers, control, units, engines)
        return m

    def _engines(self, m, add: Add, border: Callable[..., None], control: Controller) -> Engines:
        """The four AXI engines; they report faults and obey `abort`."""
        config = self._config
        engines = Engines(
            load=add("load_reader", AxiReader(config)),
            # a weight tile is n/2 beats: room for two tiles and the latency between them
            weight=add("weight_reader", AxiReader(config, max(64, 2 * config.n))),
            store_read=add("store_reader", AxiReader(config)),
            store_write=add("writer", AxiWriter(config)))
        border(engines.load.axi, self.m_axi_load)
        border(engines.weight.axi, self.m_axi_weight)
        # one port for both: three channels are the reader's, the other two the writer's
        border(engines.store_read.axi, self.m_axi_store)
        border(engines.store_write.axi, self.m_axi_store)
        for name, engine in engines._asdict().items():
            report = control.engine(name)
            m.d.comb += [
                engine.abort.eq(control.abort), report.fault.eq(engine.fault),
                report.decerr.eq(engine.decerr), report.address.eq(engine.fault_address),
            ]
        m.d.comb += control.idle.eq(Cat(engine.idle for engine in engines).all())
        return engines

    def _fetch(self, m, add: Add, registers: RegisterBank, control: Controller) -> Fetch:
        """Descriptor and step table entry."""
        fetch = add("fetch", Fetch(self._config), control.abort)
        m.d.comb += [
            fetch.start.eq(control.fetch_start),
            fetch.address.eq(Cat(registers.descriptor_low, registers.descriptor_high)),
            fetch.timestep.eq(registers.timestep),
            control.fetch_done.eq(fetch.done), control.fetch_fault.eq(fetch.fault),
            control.fetch_address.eq(fetch.fault_address),
        ]
        return fetch

    def _units(self, m, add: Add, control: Controller, fetch: Fetch, engines: Engines) -> Units:
        """Load, multiply and store, in reset unless a layer runs."""
        config, resting = self._config, ~control.running
        units = load, multiply, store = Units(
            load=add("load", LoadUnit(config), resting),
            multiply=add("multiply", MultiplyUnit(config), resting),
            store=add("store", StoreUnit(config), resting))
        for unit in units:
            m.d.comb += [unit.layer.eq(fetch.layer), unit.start.eq(control.start)]
        m.d.comb += [load.step.eq(fetch.step), store.step.eq(fetch.step)]
        connect(m, load.write, multiply.write)
        connect(m, store.accumulator, multiply.accumulator)
        m.d.comb += [
            multiply.bank_done.eq(load.bank_done), load.bank_free.eq(multiply.bank_free),
            control.operand_overflow.eq(load.overflow),
            control.sum_overflow.eq(multiply.overflow),
            # the layer ends when the memory has acknowledged the last write
            control.layer_done.eq(store.done & engines.store_write.idle),
        ]
        return units

    def _connect_memory(self, m, control: Controller, fetch: Fetch, units: Units,
                        engines: Engines) -> None:
        """Units to engines; the store reader serves the fetch unit until the layer runs."""
        load, multiply, store = units
        owned = Signal()        # a layer runs; a cycle later, long before it reads anything
        m.d.sync += owned.eq(control.running)
        connect(m, load.read, engines.load.port)
        connect(m, multiply.read, engines.weight.port)
        connect(m, store.word, engines.store_write.word)
        port = engines.store_read.port
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

    def _registers(self, m, registers: RegisterBank, control: Controller) -> None:
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

    def _count(self, m, add: Add, registers: RegisterBank, control: Controller, units: Units,
               engines: Engines) -> None:
        """Performance counters and the watchdog's idea of progress."""
        load, multiply, store = units
        counters = add("counters", Counters())
        cause = add("cause", IdleCause())
        m.d.comb += [
            cause.running.eq(control.running), cause.busy.eq(multiply.busy),
            cause.wait_operands.eq(multiply.wait_operands),
            cause.wait_weights.eq(multiply.wait_weights),
            cause.load_memory.eq(load.waiting_memory),
            cause.weight_memory.eq(multiply.waiting_memory),
            cause.store_memory.eq(store.waiting_memory | (store.done & ~engines.store_write.idle)),
            counters.clear.eq(control.begin),
        ]
        # counted a cycle later, so that what the units say may come late in its cycle
        m.d.sync += counters.count.cycles.eq(control.active)
        for name in cause.cause.shape().members:
            m.d.sync += counters.count[name].eq(control.active & cause.cause[name])
        for name, engine in engines._asdict().items():
            m.d.sync += counters.count[f"{name}_beats"].eq(engine.handshake & control.active)
        m.d.comb += [registers.counter_slot.eq(counters.slot),
                     registers.counter_value.eq(counters.value)]
        moved, progress = Cat(engine.handshake for engine in engines).any(), Signal()
        m.d.sync += progress.eq(moved | multiply.busy | control.begin)
        m.d.comb += control.progress.eq(progress)
