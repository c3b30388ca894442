"""Synthesis of a design to a netlist, kept in the build cache."""

import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware.fpga.devices import Device
from firmware.fpga.tools import YOSYS, Tools, tool_version
from rtl.cache import build_once, content_hash

SCRIPTS = {
    "ecp5": "read_verilog design.v; synth_ecp5 {options} -top {top} -json netlist.json",
    "xcup": "read_verilog design.v; synth_xilinx -family xcup -flatten -noiopad -noclkbuf "
            "{options} -top {top}; write_json netlist.json",
}
NETLIST = "netlist.json.gz"


@dataclass(frozen=True)
class Design:
    """Verilog text with its top module, and the name to report it under."""

    name: str
    verilog: str
    top: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.verilog.encode()).hexdigest()


@dataclass(frozen=True)
class Netlist:
    """A synthesised design: Yosys' JSON in the cache."""

    path: Path
    top: str

    @property
    def text(self) -> bytes:
        return gzip.decompress(self.path.read_bytes())

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text).hexdigest()

    def module(self) -> dict[str, Any]:
        """Cells, nets and ports of the one module that is left."""
        module: dict[str, Any] = json.loads(self.text)["modules"][self.top]
        return module


def synthesise(design: Design, device: Device, tools: Tools, *, use_dsp: bool = True,
               cache: Path | None = None) -> Netlist:
    """The netlist of `design`, flattened, for the family of `device`.

    Parameters
    ----------
    use_dsp: False makes every product of LUTs and carry chains.
    cache: directory of the build cache; by default `rtl.cache.cache_root()`.

    Raises
    ------
    RuntimeError: Yosys is missing or failed.
    """
    script = SCRIPTS[device.family].format(top=design.top, options="" if use_dsp else "-nodsp")
    key = content_hash(design.verilog, script, tool_version(YOSYS))

    def make(folder: Path) -> None:
        source, netlist = folder / "design.v", folder / "netlist.json"
        source.write_text(design.verilog, encoding="utf-8")
        tools.run(YOSYS, ["-q", "-p", script], folder)
        with gzip.GzipFile(folder / NETLIST, "wb", compresslevel=1, mtime=0) as file:
            file.write(netlist.read_bytes())
        source.unlink()
        netlist.unlink()

    return Netlist(build_once(f"netlist-{design.name}-{key}", make, cache) / NETLIST, design.top)
