"""A core on a board: registers, shared memory and interrupt, each as the system offers it."""

import time
from types import TracebackType
from typing import Protocol

from hqdm.firmware.device.transport import Transport
from hqdm.spec.registers import ADDRESS

PATIENCE = 1.0      # seconds a wait takes beyond its cycles: what the operating system may need
POLL_SECONDS = 2e-4
CLOCK_MHZ = 100.0


class Registers(Protocol):
    """32-bit registers; every access is one aligned 32-bit load or store."""

    def read(self, address: int) -> int:
        """The register at byte `address`."""

    def write(self, address: int, value: int) -> None:
        """Write a register."""

    def close(self) -> None:
        """Give them back."""


class Memory(Protocol):
    """Memory that processor and core share.

    Members
    -------
    base, size: where it is, as the core sees it, in bytes.
    """

    base: int
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """What the core sees at `offset` from the base."""

    def write(self, offset: int, data: bytes) -> None:
        """Write what the core will see."""

    def close(self) -> None:
        """Give it back."""


class Interrupt(Protocol):
    """The core's interrupt as the operating system reports it."""

    def wait(self, seconds: float) -> bool:
        """Enable it; True once it may have come (it may be an old one), False after `seconds`."""

    def close(self) -> None:
        """Give it back."""


class Polling:
    """No interrupt at all: look again in a moment."""

    def wait(self, seconds: float) -> bool:
        time.sleep(max(0.0, min(seconds, POLL_SECONDS)))
        return seconds > 0

    def close(self) -> None:
        return


class BoardTransport(Transport):
    """Transport over a core on a board.

    An interrupt counts only while `irq_status` is set: one that an earlier process left behind is
    waited over. It is enabled in `wait`, after the driver has cleared its cause.

    Parameters
    ----------
    registers, memory, interrupt: of the core.
    clock_mhz: of the core; turns the driver's cycles into seconds.

    Raises
    ------
    ValueError: a clock that does not run.
    """

    def __init__(self, registers: Registers, memory: Memory, interrupt: Interrupt,
                 clock_mhz: float = CLOCK_MHZ) -> None:
        if not clock_mhz > 0:
            raise ValueError(f"clock: wanted more than 0 MHz, got {clock_mhz}")
        self._registers, self._memory, self._interrupt = registers, memory, interrupt
        self.clock_mhz = clock_mhz
        self.memory_bytes, self.memory_base = memory.size, memory.base

    def __enter__(self) -> "BoardTransport":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give everything back; the core keeps its state."""
        for part in (self._interrupt, self._registers, self._memory):
            part.close()

    def read_register(self, address: int) -> int:
        return self._registers.read(address)

    def write_register(self, address: int, value: int) -> None:
        self._registers.write(address, value)

    def read_memory(self, address: int, length: int) -> bytes:
        self.check_range(address, length)
        return self._memory.read(address - self.memory_base, length)

    def write_memory(self, address: int, data: bytes) -> None:
        self.check_range(address, len(data))
        self._memory.write(address - self.memory_base, data)

    def wait(self, timeout_cycles: int) -> None:
        seconds = timeout_cycles / (1e6 * self.clock_mhz) + PATIENCE
        end = time.monotonic() + seconds
        while self._interrupt.wait(end - time.monotonic()):
            if self._raised():
                return
        cause = ": the core raised it (irq_status is 1), Linux did not see it" if (
            self._raised()) else ""
        raise TimeoutError(f"no interrupt in {timeout_cycles} cycles ({seconds:.1f} s at "
                           f"{self.clock_mhz:g} MHz){cause}; see docs/linux.md")

    def _raised(self) -> bool:
        return bool(self._registers.read(ADDRESS["irq_status"]) & 1)
