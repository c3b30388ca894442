"""What the driver needs of a device: registers, memory and the interrupt."""

from abc import ABC, abstractmethod


class Transport(ABC):
    """Access to one device.

    Members
    -------
    memory_bytes: size of the memory the device and the host share; addresses start at 0.
    """

    memory_bytes: int

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
