"""A board made of files: a register file, a memory file, an interrupt socket, golden behind them.

`python -m hqdm.firmware.device.transports.emulated FOLDER --config n4` makes one;
`hqdm layer --backend uio --root FOLDER --config n4 --clock-mhz 0.05` uses it from another process.
"""

import argparse
import mmap
import os
import select
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import numpy as np

from hqdm.firmware.device.transports.golden import GoldenTransport
from hqdm.spec import PRESETS, Config, config_by_name
from hqdm.spec.registers import ADDRESS, REGISTERS, Control, Status

SCAN_SECONDS = 2e-4
PENDING = 1 << 31 | 1   # irq_status as the core sets it: a host that writes 1 changes it, so the
                        # board sees a write to a plain file
MEMORY_BASE = 0x3C000000


class EmulatedBoard:
    """Files under `folder` that look like `/dev` and `/sys`, and a functional core behind them.

    A thread watches the registers while the board is used as a context; `serve` does the same in
    the caller's. Reads and writes of plain memory cannot be seen, so the core looks at the
    registers every 0.2 ms and before it answers on the socket: whoever waits for the interrupt
    sees what a core would show, whoever polls may be early.

    Parameters
    ----------
    folder: where to put `dev` and `sys`.
    config: of the core.
    memory_bytes, memory_base: of the memory `udmabuf0`.
    deaf: never answer, as a core without a clock.
    """

    def __init__(self, folder: Path, config: Config, memory_bytes: int = 1 << 24,
                 memory_base: int = MEMORY_BASE, deaf: bool = False) -> None:
        self.config, self.deaf = config, deaf
        self._path = folder / "dev/uio0"
        make_files(folder, memory_bytes, memory_base)
        memory, registers = _map(folder / "dev/udmabuf0"), _map(self._path)
        self._words = np.frombuffer(registers, "<u4")
        self._core = GoldenTransport(config, memory_bytes, memory, memory_base)
        self._control = self.interrupts = 0
        self._enabled = False       # until a host enables it, so that it never gets one twice
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self.serve, daemon=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._hosts: list[socket.socket] = []
        self._publish("rw")
        name = self._path.with_name("uio0.interrupt")
        name.unlink(missing_ok=True)
        self._listener.bind(str(name))
        self._listener.listen()

    def __enter__(self) -> "EmulatedBoard":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def serve(self) -> None:
        """Be the board until the context ends."""
        try:
            while not self._stop.is_set():
                ready, _, _ = select.select([self._listener, *self._hosts], [], [], SCAN_SECONDS)
                if not self.deaf:
                    self._scan()
                for link in ready:
                    self._answer(link)
                self._interrupt()
        finally:
            for link in (self._listener, *self._hosts):
                link.close()

    def _answer(self, link: socket.socket) -> None:
        if link is self._listener:
            self._hosts.append(link.accept()[0])
            return
        try:
            written = link.recv(4)
        except OSError:
            written = b""
        if written:
            self._enabled = bool(int.from_bytes(written, "little"))
        else:
            self._hosts.remove(link)
            link.close()

    def _interrupt(self) -> None:
        """As a level-sensitive interrupt of uio_pdrv_genirq: it stays off until enabled again."""
        raised = int(self._words[ADDRESS["irq_status"] >> 2]) == PENDING
        if raised and self._enabled and self._words[ADDRESS["irq_enable"] >> 2] & 1:
            self._enabled = False
            self.interrupts += 1
            for host in self._hosts:
                with suppress(OSError):     # it has gone; its end is read next
                    host.send(self.interrupts.to_bytes(4, "little"))

    def _scan(self) -> None:
        """Do what the host has written to `irq_status` and `control`."""
        status, control = ADDRESS["irq_status"] >> 2, ADDRESS["control"] >> 2
        if self._words[status] == 1:
            self._words[status] = 0
        command = int(self._words[control])
        if command != self._control and command >> Control.SOFT_RESET & 1:
            self._command(1 << Control.SOFT_RESET)
        elif command >> Control.START & 1:
            self._words[control] = command = 0
            self._run()
        self._control = command

    def _run(self) -> None:
        self._words[ADDRESS["status"] >> 2] = 1 << Status.BUSY
        self._command(1 << Control.START)

    def _command(self, value: int) -> None:
        for register in REGISTERS:
            if register.access == "rw":
                self._core.write_register(
                    register.address, int(self._words[register.address >> 2]))
        self._core.write_register(ADDRESS["control"], value)
        self._publish()

    def _publish(self, *more: str) -> None:
        """Show the registers the core writes, and those of access `more`; the interrupt last."""
        for register in REGISTERS:
            if register.access in ("ro", *more):
                self._words[register.address >> 2] = self._core.read_register(register.address)
        raised = self._core.read_register(ADDRESS["irq_status"])
        self._words[ADDRESS["irq_status"] >> 2] = PENDING if raised else 0


def make_files(folder: Path, memory_bytes: int, memory_base: int, name: str = "udmabuf0") -> None:
    """The files of one UIO device of 4096 bytes of registers and one u-dma-buf `name`."""
    uio, buffer = "sys/class/uio/uio0", f"sys/class/u-dma-buf/{name}"
    texts = {
        f"{uio}/name": "hqdm", f"{uio}/version": "devicetree",
        f"{uio}/maps/map0/name": "hqdm@a0000000", f"{uio}/maps/map0/addr": "0xa0000000",
        f"{uio}/maps/map0/size": "0x1000", f"{uio}/maps/map0/offset": "0x0",
        f"{buffer}/phys_addr": f"{memory_base:#018x}", f"{buffer}/size": f"{memory_bytes}",
        f"{buffer}/dma_coherent": "0", f"{buffer}/sync_mode": "1",
        **{f"{buffer}/sync_{what}": "0"
           for what in ("offset", "size", "direction", "for_cpu", "for_device")}}
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(f"{text}\n")
    (folder / "dev").mkdir(exist_ok=True)
    for file, size in ((f"dev/{name}", memory_bytes), ("dev/uio0", mmap.PAGESIZE)):
        (folder / file).write_bytes(b"")
        os.truncate(folder / file, size)


def _map(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), 0)


def main(arguments: list[str] | None = None) -> int:
    """Be a board until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m hqdm.firmware.device.transports.emulated")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--config", default="n4", help=", ".join(PRESETS))
    parser.add_argument("--memory-bytes", type=int, default=1 << 26)
    options = parser.parse_args(arguments)
    try:
        board = EmulatedBoard(options.folder, config_by_name(options.config), options.memory_bytes)
        print(f"{options.config}: {options.folder}/dev/uio0 and udmabuf0 until Ctrl-C", flush=True)
        board.serve()
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
