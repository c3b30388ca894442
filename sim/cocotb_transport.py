"""The driver's transport inside a cocotb test: the driver itself runs unmodified."""

from collections.abc import Callable
from typing import Any

from cocotb.task import bridge, resume

from hqdm.firmware.device.transport import Transport
from hqdm.sim.testbench import Testbench


class CocotbTransport(Transport):
    """Transport over a `Testbench`. Use it from a function called through `in_thread` only."""

    def __init__(self, bench: Testbench):
        self.bench = bench
        self.memory_bytes = len(bench.memory.bytes)
        self._read, self._write = resume(bench.read), resume(bench.write)
        self._wait = resume(bench.wait)

    def read_register(self, address: int) -> int:
        return self._read(address)

    def write_register(self, address: int, value: int) -> None:
        self._write(address, value)

    def read_memory(self, address: int, length: int) -> bytes:
        self.check_range(address, length)
        return bytes(self.bench.memory.bytes[address:address + length])

    def write_memory(self, address: int, data: bytes) -> None:
        self.check_range(address, len(data))
        self.bench.memory.bytes[address:address + len(data)] = data

    def wait(self, timeout_cycles: int) -> None:
        self._wait(timeout_cycles)


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call blocking `function`, which uses a CocotbTransport, from a cocotb test."""
    return await bridge(function)(*arguments)
