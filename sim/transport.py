"""The Verilated core behind the driver: RTL in C++, memory model included, in this process."""

from types import TracebackType

import numpy as np

from hqdm.firmware.device.transport import Transport
from hqdm.sim.runtime.device import Device, MemoryModel
from hqdm.spec.config import Config

SLICE = 100_000     # cycles between two looks at Ctrl-C


class VerilatedTransport(Transport):
    """Transport over `hqdm.sim.runtime.device.Device`; builds the simulation on first use.

    Parameters
    ----------
    config: configuration of the core.
    memory_bytes: size of the memory; an access beyond it answers DECERR.
    model: latency, bandwidth and back-pressure of the memory.

    Members
    -------
    device: the device, for what only a simulation can do (error injection, traffic).

    Raises
    ------
    RuntimeError: the simulation cannot be built.
    """

    def __init__(
        self, config: Config, memory_bytes: int = 1 << 24, model: MemoryModel | None = None,
    ) -> None:
        self.memory_bytes = memory_bytes
        self.device = Device.of(config, memory_bytes, model)

    def __enter__(self) -> "VerilatedTransport":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.device.close()

    def read_register(self, address: int) -> int:
        return self.device.read_register(address)

    def write_register(self, address: int, value: int) -> None:
        self.device.write_register(address, value)

    def read_memory(self, address: int, length: int) -> bytes:
        self.check_range(address, length)
        return self.device.memory[address:address + length].tobytes()

    def write_memory(self, address: int, data: bytes) -> None:
        self.check_range(address, len(data))
        self.device.memory[address:address + len(data)] = np.frombuffer(data, dtype=np.uint8)

    def wait(self, timeout_cycles: int) -> None:
        """Run until the interrupt; RuntimeError if the core broke an AXI rule on the way."""
        left = timeout_cycles
        while left > 0 and not self.device.interrupt:
            left -= self.device.run(min(left, SLICE))
        violations = self.device.violations()
        if violations:
            raise RuntimeError(f"AXI: {len(violations)} broken rules, first: {violations[0]}")
        if not self.device.interrupt:
            raise TimeoutError(f"no interrupt in {timeout_cycles} cycles")
