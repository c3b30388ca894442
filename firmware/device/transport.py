"""What the driver needs of a device: registers, memory and the interrupt."""

from abc import ABC, abstractmethod


class Transport(ABC):
    """Access to one device.

    Members
    -------
    memory_bytes: size of the memory the device and the host share.
    memory_base: its first address, as the device sees it.
    """

    memory_bytes: int
    memory_base: int = 0

    def check_range(self, address: int, length: int) -> None:
        """ValueError unless `length` bytes from `address` are in the memory."""
        base, end = self.memory_base, self.memory_base + self.memory_bytes
        if address < base or address + length > end:
            where = f" at {base:#x}" if base else ""
            raise ValueError(
                f"memory: wanted a range within {self.memory_bytes} bytes{where}, got {length} "
                f"bytes at {address:#x}")

    @abstractmethod
    def read_register(self, address: int) -> int:
        """The 32-bit register at byte `address`."""

    @abstractmethod
    def write_register(self, address: int, value: int) -> None:
        """Write a 32-bit register."""

    @abstractmethod
    def read_memory(self, address: int, length: int) -> bytes:
        """`length` bytes from `address`; ValueError beyond the memory."""

    @abstractmethod
    def write_memory(self, address: int, data: bytes) -> None:
        """Write `data` at `address`; ValueError beyond the memory."""

    @abstractmethod
    def wait(self, timeout_cycles: int) -> None:
        """Return once the interrupt is raised; TimeoutError after `timeout_cycles` cycles."""
