"""A core behind Linux' `/dev/uioN`, and memory it shares with the processor; see docs/linux.md."""

import errno
import fcntl
import mmap
import os
import select
import socket
import stat
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from hqdm.firmware.device.transports.board import CLOCK_MHZ, BoardTransport, Interrupt, Polling
from hqdm.firmware.device.transports.memory import open_memory
from hqdm.firmware.device.transports.nodes import open_node, read_number
from hqdm.spec.registers import REGISTER_SPACE_BITS

ENABLE = (1).to_bytes(4, "little")


class UioRegisters:
    """Registers of map 0 of a UIO device, which no other process may have open this way.

    Parameters
    ----------
    path: the device node.
    maps: its folder `maps` in sysfs.

    Raises
    ------
    OSError: a device or map that is not there, may not be used, or is too small.
    """

    def __init__(self, path: Path, maps: Path) -> None:
        self.path = path
        self.node = open_node(path, "UIO device")
        try:
            _lock(self.node, path)
            offset, size = (read_number(maps / "map0" / name) for name in ("offset", "size"))
            if size < 1 << REGISTER_SPACE_BITS:
                raise OSError(f"{path}: wanted at least {1 << REGISTER_SPACE_BITS} bytes of "
                              f"registers in map 0, got {size}")
            self._map = _mapped(self.node, path, offset + size)
        except OSError:
            os.close(self.node)
            raise
        words = 1 << (REGISTER_SPACE_BITS - 2)
        self._words = np.frombuffer(self._map, "<u4", words, offset)     # one access per item

    def read(self, address: int) -> int:
        return int(self._words[address >> 2])

    def write(self, address: int, value: int) -> None:
        self._words[address >> 2] = value

    def close(self) -> None:
        self._words = np.empty(0, "<u4")    # the map cannot be closed under a view
        self._map.close()
        os.close(self.node)


class UioInterrupt:
    """Interrupts of a UIO device: a read gives their number, writing 1 enables the next.

    Parameters
    ----------
    node: open device.
    path: of it, for messages.
    own: close `node` in the end.
    """

    def __init__(self, node: int, path: Path, own: bool = False) -> None:
        self.path = path
        self._node, self._own = node, own
        self._poll = select.poll()
        self._poll.register(node, select.POLLIN)

    def wait(self, seconds: float) -> bool:
        try:
            os.write(self._node, ENABLE)
            if seconds <= 0 or not self._poll.poll(1000 * seconds):
                return False
            count = os.read(self._node, 4)
        except OSError as error:
            raise OSError(f"{self.path}: {_why(error)}; see docs/linux.md") from error
        if len(count) != 4:
            raise OSError(f"{self.path}: the device went away")
        return True

    def close(self) -> None:
        if self._own:
            os.close(self._node)


def _why(error: OSError) -> str:
    if error.errno == errno.EIO:
        return "no interrupt belongs to it"
    if error.errno == errno.ENOSYS:
        return "its kernel driver cannot enable an interrupt; wanted uio_pdrv_genirq"
    return f"the interrupt failed: {error.strerror}"


def _lock(node: int, path: Path) -> None:
    try:
        fcntl.flock(node, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError(f"{path}: another process uses it") from error


def _mapped(node: int, path: Path, size: int) -> mmap.mmap:
    try:
        return mmap.mmap(node, -(-size // mmap.PAGESIZE) * mmap.PAGESIZE)
    except (OSError, ValueError) as error:
        raise OSError(f"{path}: its registers cannot be mapped: {error}") from error


def _interrupt(registers: UioRegisters) -> UioInterrupt:
    """Of the device itself; an ordinary file, which stands for one, has a socket beside it."""
    if not stat.S_ISREG(os.fstat(registers.node).st_mode):
        return UioInterrupt(registers.node, registers.path)
    path = registers.path.with_name(f"{registers.path.name}.interrupt")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
        try:
            link.connect(str(path))
        except OSError as error:
            raise OSError(f"{path}: {registers.path} is an ordinary file and no emulated board "
                          f"answers: {error.strerror}") from error
        return UioInterrupt(link.detach(), path, own=True)


def open_uio(device: str = "/dev/uio0", memory: str = "udmabuf0", *, clock_mhz: float = CLOCK_MHZ,
             poll: bool = False, root: Path = Path("/")) -> BoardTransport:
    """The core behind a UIO device.

    Parameters
    ----------
    device: its node, or a link to it.
    memory: what the core shares with the processor, see
        `hqdm.firmware.device.transports.memory.open_memory`.
    clock_mhz: of the core.
    poll: look at `irq_status` instead of waiting for the interrupt.
    root: folder that holds `dev` and `sys`.

    Raises
    ------
    OSError, RuntimeError: something is not there or may not be used; one line says what.
    ValueError: a memory or clock that makes no sense.
    """
    path = (root / device.lstrip("/")).resolve()
    with ExitStack() as undo:
        registers = UioRegisters(path, root / "sys/class/uio" / path.name / "maps")
        undo.callback(registers.close)
        shared = open_memory(memory, root)
        undo.callback(shared.close)
        interrupt: Interrupt = Polling() if poll else _interrupt(registers)
        undo.callback(interrupt.close)
        transport = BoardTransport(registers, shared, interrupt, clock_mhz)
        undo.pop_all()      # all of it is there: keep it
    return transport
