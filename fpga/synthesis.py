"""Synthesis of a design to a netlist, kept in the build cache."""

import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hqdm.fpga.absorb import VERSION, absorb
from hqdm.fpga.devices import Device
from hqdm.fpga.tools import YOSYS, Tools, tool_version
from hqdm.kit.cache import build_once, content_hash

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


def check_drivers(module: dict[str, Any]) -> None:
    """Raise RuntimeError if two outputs of the netlist drive one net: a fault of the synthesis.

    Parameters
    ----------
    module: `Netlist.module()`.
    """
    driver = {bit: f"input {name}" for name, port in module["ports"].items()
              if port["direction"] == "input" for bit in port["bits"]}
    for name, cell in module["cells"].items():
        for port, bits in cell["connections"].items():
            if cell["port_directions"].get(port) != "output":
                continue
            for bit in bits:
                source = f"{name}.{port}"
                if isinstance(bit, int) and driver.setdefault(bit, source) != source:
                    raise RuntimeError(f"netlist: wanted one driver of every net, got "
                                       f"{driver[bit]} and {source} on net {bit}")


def synthesise(design: Design, device: Device, tools: Tools, *, use_dsp: bool = True,
               cache: Path | None = None) -> Netlist:
    """The netlist of `design`, flattened, for the family of `device`.

    Parameters
    ----------
    use_dsp: False makes every product of LUTs and carry chains.
    cache: directory of the build cache; by default `hqdm.kit.cache.cache_root()`.

    Raises
    ------
    RuntimeError: Yosys is missing or failed, or two outputs drive one net.
    """
    script = SCRIPTS[device.family].format(top=design.top, options="" if use_dsp else "-nodsp")
    key = content_hash(design.verilog, script, tool_version(YOSYS), VERSION)

    def make(folder: Path) -> None:
        source, netlist = folder / "design.v", folder / "netlist.json"
        source.write_text(design.verilog, encoding="utf-8")
        tools.run(YOSYS, ["-q", "-p", script], folder)
        made = json.loads(netlist.read_bytes())
        check_drivers(made["modules"][design.top])
        if device.family == "ecp5":
            absorb(made["modules"][design.top])
            check_drivers(made["modules"][design.top])
        with gzip.GzipFile(folder / NETLIST, "wb", compresslevel=1, mtime=0) as file:
            file.write(json.dumps(made).encode())
        source.unlink()
        netlist.unlink()

    return Netlist(build_once(f"netlist-{design.name}-{key}", make, cache) / NETLIST, design.top)
