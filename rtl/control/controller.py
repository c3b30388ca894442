"""The life of a layer: fetch, run, end or fault, drain; watchdog and soft reset."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component
from hqdm.spec.config import Config
from hqdm.spec.registers import Control, Fault, Status

# SLVERR and DECERR codes of the AXI engines, in the order they are reported
ENGINES = {
    "load": (Fault.LOAD_SLVERR, Fault.LOAD_DECERR),
    "weight": (Fault.WEIGHT_SLVERR, Fault.WEIGHT_DECERR),
    "store_read": (Fault.STORE_READ_SLVERR, Fault.STORE_READ_DECERR),
    "store_write": (Fault.STORE_WRITE_SLVERR, Fault.STORE_WRITE_DECERR),
}


class EngineReport(NamedTuple):
    """What an AXI engine says of an error response: see `AxiReader` and `AxiWriter`."""

    fault: Value
    decerr: Value
    address: Value


class Cause(NamedTuple):
    """A reason to end the layer: the fault's code and address count while `condition` is high."""

    condition: Value
    code: Any
    address: Any


class State(NamedTuple):
    """What the machine knows besides its state."""

    finished: Signal        # the last layer ended without a fault
    reset_request: Signal   # a soft reset was asked for and has not begun
    expired: Signal         # nothing has moved for `watchdog` cycles


class Controller(Component):
    """State machine of the core.

    IDLE -> FETCH -> RUN -> IDLE; any fault or a soft reset -> DRAIN -> IDLE. While draining,
    ``abort`` keeps the AXI engines from starting anything and the units are in reset; it lasts
    until every transaction has been answered and 2n + 8 cycles have emptied the array. The fault
    and the interrupt are visible at once, also where a dead bus makes the draining endless.

    Members
    -------
    control, watchdog: registers (control is a pulse). status, fault_code, fault_address: registers.
    interrupt_set: pulse at the end of a layer.
    fetch_start, fetch_done, fetch_fault, fetch_address: the fetch unit.
    start: begin pulse of the units; running: they run (else they are in reset).
    layer_done: all outputs are in memory. progress: something moved in this cycle.
    NAME_fault, NAME_decerr, NAME_address: the AXI engines. operand_overflow, sum_overflow: units.
    abort, idle: the AXI engines. begin: pulse, a layer starts. active: a layer is under way.
    """

    def __init__(self, config: Config):
        self._config = config
        engines: dict[str, wiring.Member] = {}
        for name in ENGINES:
            engines |= {f"{name}_fault": In(1), f"{name}_decerr": In(1),
                        f"{name}_address": In(config.address_bits)}
        super().__init__(engines | {
            "control": In(32), "watchdog": In(32), "status": Out(32),
            "fault_code": Out(Fault), "fault_address": Out(64), "interrupt_set": Out(1),
            "fetch_start": Out(1), "fetch_done": In(1), "fetch_fault": In(Fault),
            "fetch_address": In(64),
            "start": Out(1), "running": Out(1), "layer_done": In(1), "progress": In(1),
            "operand_overflow": In(1), "sum_overflow": In(1),
            "abort": Out(1), "idle": In(1), "begin": Out(1), "active": Out(1),
        })

    def engine(self, name: str) -> EngineReport:
        """The ports of the AXI engine `name`, a key of `ENGINES`."""
        return EngineReport(*(getattr(self, f"{name}_{part}") for part in EngineReport._fields))

    def _faults(self, expired: Signal) -> Iterator[Cause]:
        """The first whose condition holds is reported."""
        for name, (slverr, decerr) in ENGINES.items():
            engine = self.engine(name)
            yield Cause(engine.fault, Mux(engine.decerr, decerr, slverr), engine.address)
        yield Cause(self.fetch_done & (self.fetch_fault != Fault.NONE), self.fetch_fault,
                    self.fetch_address)
        yield Cause(self.operand_overflow, Fault.OPERAND_OVERFLOW, self._config.buffer_words)
        yield Cause(self.sum_overflow, Fault.ACCUMULATOR_OVERFLOW, self._config.acc_words)
        yield Cause(expired, Fault.WATCHDOG, 0)

    def _watch(self, m, expired: Signal) -> None:
        """`expired`: nothing has moved for `watchdog` cycles."""
        still = Signal(32)
        with m.If(self.progress | ~self.active):
            m.d.sync += still.eq(0)
        with m.Else():
            m.d.sync += still.eq(still + 1)
        m.d.sync += expired.eq((self.watchdog != 0) & (still >= self.watchdog))

    def _stop_on_fault(self, m, state: State) -> Value:
        """Latch the first fault and drain; returns the signal that says there is none."""
        faulty = Signal()
        chain = m.If        # then Elif: one chain, in the order of `_faults`
        for cause in self._faults(state.expired):
            with chain(cause.condition):
                m.d.comb += faulty.eq(1)
                m.d.sync += [self.fault_code.eq(cause.code), self.fault_address.eq(cause.address)]
            chain = m.Elif
        with m.If(faulty):
            m.d.comb += self.interrupt_set.eq(1)
            m.next = "DRAIN"
        self._reset_on_request(m, state)
        return ~faulty & ~state.reset_request

    def _reset_on_request(self, m, state: State) -> None:
        """A soft reset forgets the last result and drains."""
        with m.If(state.reset_request):
            m.d.sync += [state.reset_request.eq(0), state.finished.eq(0),
                         self.fault_address.eq(0), self.fault_code.eq(Fault.NONE)]
            m.next = "DRAIN"

    def elaborate(self, platform):
        m = Module()
        state = State(*(Signal(name=name) for name in State._fields))
        quiet = Signal(range(2 * self._config.n + 9))
        draining = Signal()
        self._watch(m, state.expired)
        m.d.comb += [
            self.status[Status.BUSY].eq(self.active),
            self.status[Status.DONE].eq(state.finished),
            self.status[Status.FAULT].eq(self.fault_code != Fault.NONE),
            self.status[Status.DRAINING].eq(draining | state.reset_request),
        ]
        with m.If(self.control[Control.SOFT_RESET]):
            m.d.sync += state.reset_request.eq(1)
        with m.FSM():
            with m.State("IDLE"):
                with m.If(self.control[Control.START]):
                    m.d.comb += [self.begin.eq(1), self.fetch_start.eq(1)]
                    m.d.sync += [state.finished.eq(0), self.fault_code.eq(Fault.NONE),
                                 self.fault_address.eq(0)]
                    m.next = "FETCH START"
                self._reset_on_request(m, state)
            with m.State("FETCH START"):
                m.d.comb += self.active.eq(1)
                m.next = "FETCH"
            with m.State("FETCH"):
                m.d.comb += self.active.eq(1)
                good = self._stop_on_fault(m, state)
                with m.If(good & self.fetch_done):
                    m.next = "START"
            with m.State("START"):
                m.d.comb += [self.active.eq(1), self.running.eq(1), self.start.eq(1)]
                m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += [self.active.eq(1), self.running.eq(1)]
                good = self._stop_on_fault(m, state)
                with m.If(good & self.layer_done):
                    m.d.comb += self.interrupt_set.eq(1)
                    m.d.sync += state.finished.eq(1)
                    m.next = "IDLE"
            with m.State("DRAIN"):
                m.d.comb += [self.abort.eq(1), draining.eq(1)]
                self._reset_on_request(m, state)
                # the array has no reset: cycles without operands empty it
                with m.If(quiet != 2 * self._config.n + 8):
                    m.d.sync += quiet.eq(quiet + 1)
                with m.Elif(self.idle):
                    m.d.sync += quiet.eq(0)
                    m.next = "IDLE"
        return m
