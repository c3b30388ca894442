"""Memory that a core on a board shares with the processor: u-dma-buf, a mapped region, PYNQ."""

import mmap
import os
import re
from pathlib import Path

from hqdm.firmware.device.transports.board import Memory
from hqdm.firmware.device.transports.nodes import open_node, read_number

CLASSES = ("u-dma-buf", "udmabuf")      # the module was renamed in 2020
LINE = 64           # bytes of a cache line
COMBINING = (2, 3, 6, 7)    # values of sync_mode whose uncached map takes accesses of any alignment
_REGION = re.compile(r"(?P<path>[^@]+)@(?P<base>\w+)\+(?P<size>\w+)")
FORMS = "NAME, NAME,uncached, PATH@ADDRESS+SIZE or pynq+SIZE"


class MappedMemory:
    """Part of a file, mapped; nothing is done about caches.

    Parameters
    ----------
    path: of the file or device.
    base, size: where the core sees it.
    offset: of the part in the file.
    flags: of `os.open`.

    Raises
    ------
    OSError: it cannot be opened or mapped.
    """

    def __init__(self, path: Path, base: int, size: int, offset: int = 0, flags: int = 0) -> None:
        self.base, self.size = base, size
        node = open_node(path, "memory region", flags)
        try:
            self._map = mmap.mmap(node, size, offset=offset)
        except (OSError, ValueError, OverflowError) as error:
            raise OSError(f"{path}: wanted {size} bytes at {offset:#x}, which cannot be mapped: "
                          f"{error}") from error
        finally:
            os.close(node)

    def read(self, offset: int, length: int) -> bytes:
        return self._map[offset:offset + length]

    def write(self, offset: int, data: bytes) -> None:
        self._map[offset:offset + len(data)] = data

    def close(self) -> None:
        self._map.close()


class Udmabuf(MappedMemory):
    """A buffer of the u-dma-buf kernel module.

    Unless the core's ports are coherent, the processor takes the lines it touches (so that its
    cache holds what the core wrote) and gives them back (so that memory holds what it wrote).

    Parameters
    ----------
    name: of the buffer: `/dev/NAME`.
    root: folder that holds `dev` and `sys`.
    uncached: map it past the cache instead: slower, without writing to sysfs.

    Raises
    ------
    OSError: no such buffer, or it may not be used.
    """

    def __init__(self, name: str, root: Path = Path("/"), uncached: bool = False) -> None:
        self.sysfs = next((p for c in CLASSES if (p := root / "sys/class" / c / name).is_dir()),
                          root / "sys/class" / CLASSES[0] / name)
        path = root / "dev" / name
        os.close(open_node(path, "u-dma-buf"))
        if uncached:
            self._check_mode()
        self.cached = not (uncached or read_number(self.sysfs / "dma_coherent"))
        super().__init__(path, read_number(self.sysfs / "phys_addr"),
                         read_number(self.sysfs / "size"), flags=os.O_SYNC if uncached else 0)
        self._files: dict[str, int] = {}
        if self.cached:
            self._attribute("sync_direction", 0)    # both ways

    def _check_mode(self) -> None:
        mode = read_number(self.sysfs / "sync_mode")
        if mode not in COMBINING:
            raise OSError(f"{self.sysfs / 'sync_mode'}: wanted 2 (write-combining) for an "
                          f"uncached map, got {mode}")

    def _attribute(self, name: str, value: int) -> None:
        if name not in self._files:
            self._files[name] = open_node(self.sysfs / name, "attribute")
        os.pwrite(self._files[name], str(value).encode(), 0)

    def _sync(self, owner: str, offset: int, length: int) -> None:
        if self.cached and length:
            first = offset // LINE * LINE
            last = min(self.size, -(-(offset + length) // LINE) * LINE)
            self._attribute("sync_offset", first)
            self._attribute("sync_size", last - first)
            self._attribute(f"sync_for_{owner}", 1)

    def read(self, offset: int, length: int) -> bytes:
        self._sync("cpu", offset, length)
        data = super().read(offset, length)
        self._sync("device", offset, length)
        return data

    def write(self, offset: int, data: bytes) -> None:
        self._sync("cpu", offset, len(data))
        super().write(offset, data)
        self._sync("device", offset, len(data))

    def close(self) -> None:
        for node in self._files.values():
            os.close(node)
        self._files.clear()
        super().close()


def _region(path: Path, base: int, size: int) -> MappedMemory:
    """`/dev/mem` from the physical address on; any other file from its start."""
    flags = os.O_SYNC if path.name == "mem" else 0
    return MappedMemory(path, base, size, base if path.name == "mem" else 0, flags)


def open_memory(text: str, root: Path = Path("/")) -> Memory:
    """The memory `text` names.

    Parameters
    ----------
    text: NAME, a u-dma-buf; NAME,uncached; PATH@ADDRESS+SIZE, a region of the physical address
        ADDRESS, reserved in the device tree (numbers as in Python); pynq+SIZE, of `pynq.allocate`.
    root: folder that holds `dev` and `sys`.

    Raises
    ------
    ValueError: none of these.  OSError, RuntimeError: it is not there, or may not be used.
    """
    found = _REGION.fullmatch(text)
    try:
        if found:
            base, size = int(found["base"], 0), int(found["size"], 0)
        elif text.startswith("pynq+"):
            base, size = 0, int(text.removeprefix("pynq+"), 0)
        elif re.fullmatch(r"[\w.-]+(,uncached)?", text):
            return Udmabuf(text.removesuffix(",uncached"), root, text.endswith(",uncached"))
        else:
            raise ValueError
    except ValueError as error:
        raise ValueError(f"memory: wanted {FORMS}, got {text!r}") from error
    if size < 1 or base % mmap.PAGESIZE:
        raise ValueError(f"memory: wanted at least 1 byte at a multiple of {mmap.PAGESIZE}, got "
                         f"{text!r}")
    if found:
        return _region(root / found["path"].lstrip("/"), base, size)
    from hqdm.firmware.device.transports.pynq import PynqMemory
    return PynqMemory(size)
