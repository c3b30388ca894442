"""A core on a PYNQ board, by that project's Python library (which is not a dependency)."""

import importlib
from typing import Any

import numpy as np

from hqdm.firmware.device.transports.board import CLOCK_MHZ, BoardTransport, Polling


def _library() -> Any:
    try:
        return importlib.import_module("pynq")
    except ImportError as error:
        raise RuntimeError("pynq: the library is not installed here; it comes with the image of "
                           "a PYNQ board") from error


class PynqRegisters:
    """Registers of a `pynq.MMIO`, whose array takes one 32-bit access per item."""

    def __init__(self, mmio: Any) -> None:
        self._words = mmio.array

    def read(self, address: int) -> int:
        return int(self._words[address >> 2])

    def write(self, address: int, value: int) -> None:
        self._words[address >> 2] = np.uint32(value)

    def close(self) -> None:
        return


class PynqMemory:
    """`size` bytes of `pynq.allocate`: physically contiguous, flushed and invalidated by range.

    Raises
    ------
    RuntimeError: no such library, or no such memory.
    """

    def __init__(self, size: int) -> None:
        try:
            self._buffer = _library().allocate(shape=(size,), dtype="u1")
        except MemoryError as error:
            raise RuntimeError(f"pynq: wanted {size} bytes of contiguous memory: {error}"
                               ) from error
        self.base, self.size = int(self._buffer.device_address), size

    def read(self, offset: int, length: int) -> bytes:
        part = self._buffer[offset:offset + length]
        part.invalidate()
        data: bytes = part.tobytes()
        return data

    def write(self, offset: int, data: bytes) -> None:
        part = self._buffer[offset:offset + len(data)]
        part[:] = np.frombuffer(data, np.uint8)
        part.flush()

    def close(self) -> None:
        self._buffer.freebuffer()


def open_pynq(bitfile: str, core: str = "hqdm_0", memory_bytes: int = 1 << 26, *,
              clock_mhz: float = CLOCK_MHZ) -> BoardTransport:
    """The core `core` of an overlay, which is loaded; its interrupt is polled.

    Parameters
    ----------
    bitfile: of the overlay.
    core: name of the core in the block design.
    memory_bytes: to allocate.

    Raises
    ------
    RuntimeError: no such library, or too little memory.
    ValueError: no such core; the text names those there are.
    """
    library = _library()
    blocks = library.Overlay(bitfile).ip_dict
    if core not in blocks:
        raise ValueError(f"{bitfile}: wanted a core called {core}, found "
                         f"{', '.join(sorted(blocks)) or 'none'}")
    block = blocks[core]
    registers = PynqRegisters(library.MMIO(block["phys_addr"], block["addr_range"]))
    return BoardTransport(registers, PynqMemory(memory_bytes), Polling(), clock_mhz)
