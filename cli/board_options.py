"""Options of `--backend uio`: which core, behind which files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from hqdm.firmware.device.transports.board import CLOCK_MHZ, BoardTransport

DEVICE, MEMORY = "/dev/uio0", "udmabuf0"
BITFILES = (".bit", ".xsa")

MemoryName = Annotated[str, typer.Option(
    "--memory", help="u-dma-buf the core shares, or PATH@ADDRESS+SIZE, or pynq+SIZE; uio only.")]
Clock = Annotated[float, typer.Option(
    "--clock-mhz", help="Of the core, for the time a layer may take; uio only.")]
Poll = Annotated[bool, typer.Option(
    "--poll", help="Look at a register instead of waiting for the interrupt; uio only.")]
Root = Annotated[Path, typer.Option("--root", help="Folder that holds dev and sys; uio only.")]


@dataclass(frozen=True, kw_only=True)
class Board:
    """Where a core on a board is.

    Parameters
    ----------
    device: node of a UIO device, or BITFILE:CORE of a PYNQ overlay.
    memory, clock_mhz, poll, root: as `hqdm.firmware.device.transports.uio.open_uio` takes them.
    """

    device: str = DEVICE
    memory: str = MEMORY
    clock_mhz: float = CLOCK_MHZ
    poll: bool = False
    root: Path = Path("/")

    def open(self) -> BoardTransport:
        """The core; OSError, RuntimeError or ValueError say in one line why not."""
        bitfile, _, core = self.device.partition(":")
        if bitfile.endswith(BITFILES):
            from hqdm.firmware.device.transports.pynq import open_pynq
            return open_pynq(bitfile, core or "hqdm_0", self._pynq_bytes(),
                             clock_mhz=self.clock_mhz)
        from hqdm.firmware.device.transports.uio import open_uio
        return open_uio(self.device, self.memory, clock_mhz=self.clock_mhz, poll=self.poll,
                        root=self.root)

    def _pynq_bytes(self) -> int:
        try:
            return int(self.memory.removeprefix("pynq+"), 0)
        except ValueError as error:
            raise ValueError(f"--memory: wanted pynq+SIZE beside {self.device}, got "
                             f"{self.memory!r}") from error
