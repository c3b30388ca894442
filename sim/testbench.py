"""The whole core behind cocotbext-axi: one memory, three ports, pauses, latency, errors."""

import logging
import random
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

with warnings.catch_warnings():
    # cocotb-bus and cocotbext-axi still use names that cocotb 2 deprecates
    warnings.simplefilter("ignore", DeprecationWarning)
    from cocotbext.axi import (
        AxiLiteBus,
        AxiLiteMaster,
        AxiReadBus,
        AxiResp,
        AxiSlaveRead,
        AxiSlaveWrite,
        AxiWriteBus,
    )

from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

PERIOD_NS = 10
SEPARATOR = "__"


class AccessError(Exception):
    """An access that is to be answered with `response`."""

    def __init__(self, response: AxiResp):
        super().__init__(response.name)
        self.response = response


@dataclass(frozen=True)
class ErrorRange:
    """Bytes [start, end) that answer with `response` on one port and direction."""

    port: str
    write: bool
    start: int
    end: int
    response: AxiResp


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """How the memory behaves.

    Parameters
    ----------
    pause: probability that a channel is not ready (or not valid) in a cycle.
    latency: longest random delay of a burst, in cycles.
    seed: of every random choice.
    """

    pause: float = 0.0
    latency: int = 0
    seed: int = 1


class SharedMemory:
    """Bytes at address 0, the error ranges, and the random delays of all ports."""

    def __init__(self, size: int, clock: Any, traffic: Traffic):
        self.bytes = bytearray(size)
        self.errors: list[ErrorRange] = []
        self.clock, self.traffic = clock, traffic
        self.random = random.Random(traffic.seed)

    def check(self, port: str, write: bool, address: int, length: int) -> None:
        """Raise AccessError where the access is not to succeed."""
        if address + length > len(self.bytes):
            raise AccessError(AxiResp.DECERR)
        for error in self.errors:
            overlaps = address < error.end and address + length > error.start
            if overlaps and (error.port, error.write) == (port, write):
                raise AccessError(error.response)

    async def delay(self) -> None:
        """A random time, now and then."""
        if self.traffic.latency and self.random.random() < 0.1:
            for _ in range(self.random.randint(1, self.traffic.latency)):
                await RisingEdge(self.clock)

    def pauses(self) -> Iterator[bool]:
        """An endless random pause pattern."""
        generator = random.Random(self.random.getrandbits(32))
        while True:
            yield generator.random() < self.traffic.pause


class _Responses:
    """Gives responses the code of the AccessError that caused them; cocotbext knows SLVERR only."""

    def __init__(self, channel: Any, field: str):
        self.pending = AxiResp.OKAY
        self._send, self._field = channel.send, field
        channel.send = self._patched

    async def _patched(self, item: Any) -> None:
        if getattr(item, self._field) != AxiResp.OKAY:
            setattr(item, self._field, self.pending)
        await self._send(item)


class ReadPort(AxiSlaveRead):
    """A read port of the shared memory."""

    def __init__(self, dut: Any, port: str, memory: SharedMemory):
        bus = AxiReadBus.from_prefix(dut, f"m_axi_{port}", bus_separator=SEPARATOR)
        super().__init__(bus, dut.aclk, dut.aresetn, reset_active_level=False)
        self.port, self.memory = port, memory
        self.responses = _Responses(self.r_channel, "rresp")
        if memory.traffic.pause:
            for channel in (self.ar_channel, self.r_channel):
                channel.set_pause_generator(memory.pauses())

    async def _read(self, address: int, length: int) -> bytes:
        await self.memory.delay()
        try:
            self.memory.check(self.port, False, address, length)
        except AccessError as error:
            self.responses.pending = error.response
            raise
        return bytes(self.memory.bytes[address:address + length])


class WritePort(AxiSlaveWrite):
    """A write port of the shared memory."""

    def __init__(self, dut: Any, port: str, memory: SharedMemory):
        bus = AxiWriteBus.from_prefix(dut, f"m_axi_{port}", bus_separator=SEPARATOR)
        super().__init__(bus, dut.aclk, dut.aresetn, reset_active_level=False)
        self.port, self.memory = port, memory
        self.responses = _Responses(self.b_channel, "bresp")
        if memory.traffic.pause:
            for channel in (self.aw_channel, self.w_channel, self.b_channel):
                channel.set_pause_generator(memory.pauses())

    async def _write(self, address: int, data: bytes) -> None:
        await self.memory.delay()
        try:
            self.memory.check(self.port, True, address, len(data))
        except AccessError as error:
            self.responses.pending = error.response
            raise
        self.memory.bytes[address:address + len(data)] = data


class Testbench:
    """Clock, reset, registers and memory of one core.

    Parameters
    ----------
    dut: the cocotb handle of `hqdm_core` (or anything with its ports).
    memory_bytes: size of the memory, at address 0; beyond it is DECERR.
    traffic: pauses and latency.

    Members
    -------
    memory: SharedMemory; `memory.bytes` is read and written directly.
    registers: AxiLiteMaster of the register port.
    """

    __test__ = False

    def __init__(self, dut: Any, memory_bytes: int, traffic: Traffic | None = None):
        self.dut = dut
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="cocotbext")
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)   # else a line per burst
        dut.aresetn.value = 0
        self.clock = Clock(dut.aclk, PERIOD_NS, unit="ns")
        self.clock.start()
        self.memory = SharedMemory(memory_bytes, dut.aclk, traffic or Traffic())
        bus = AxiLiteBus.from_prefix(dut, "s_axil", bus_separator=SEPARATOR)
        self.registers = AxiLiteMaster(bus, dut.aclk, dut.aresetn, reset_active_level=False)
        self.ports = [ReadPort(dut, "load", self.memory), ReadPort(dut, "weight", self.memory),
                      ReadPort(dut, "store", self.memory), WritePort(dut, "store", self.memory)]

    async def reset(self, cycles: int = 4) -> None:
        """Hold `aresetn` low, for core and memory ports alike."""
        self.dut.aresetn.value = 0
        await self.clock.cycles(cycles)
        self.dut.aresetn.value = 1
        await self.clock.cycles(2)

    async def read(self, address: int) -> int:
        """A register."""
        return await self.registers.read_dword(address)

    async def write(self, address: int, value: int) -> None:
        """Write a register."""
        await self.registers.write_dword(address, value)

    def inject(self, port: str, direction: str, start: int, end: int, response: AxiResp) -> None:
        """Answer accesses of `port` to bytes [start, end) with `response`."""
        self.memory.errors.append(
            ErrorRange(port, direction == "write", start, end, response))

    async def wait(self, cycles: int) -> None:
        """Return when the interrupt is high; TimeoutError after `cycles` cycles."""
        for _ in range(cycles):
            await RisingEdge(self.dut.aclk)
            if int(self.dut.interrupt.value):
                return
        raise TimeoutError(f"no interrupt in {cycles} cycles")
