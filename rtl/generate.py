"""Verilog of the core, and the sidecar that describes it."""

import hashlib
import json
import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import amaranth
from amaranth.back import verilog

from rtl.cache import REPOSITORY, build_once, content_hash, files_hash, write_atomically
from spec.config import Config
from spec.registers import REGISTERS

TOP = "hqdm_core"
_ZERO_MEMORY = re.compile(r"  initial begin\n(?:    \S+\[\d+\] = \d+'[hd]0+;\n)+  end\n")
_FIELD = re.compile(r"^  wire (?:\[\d+:0\] )?(\\[^ ]*[.\[][^ ]*) ;\n", re.M)
_CONSTANT_PROCESS = re.compile(r"^  always @\*\n    (\S[^;\n]*;)$", re.M)


def _guard_constant_processes(module: str) -> str:
    """`module` with its `always @* x = constant;` made sensitive to a variable set at time 0.

    Yosys writes the constant part of a signal so, and a simulator never runs a process that has
    no input. Its other processes have the same guard.
    """
    if not _CONSTANT_PROCESS.search(module):
        return module
    module = _CONSTANT_PROCESS.sub(
        r"  always @* begin\n    if (constant_guard) begin end\n    \1\n  end", module)
    return re.sub(r"^(module [^;]*;\n)", r"\1  reg constant_guard = 0;\n", module, count=1,
                  flags=re.M)


def _drop_fields(module: str) -> str:
    r"""`module` without the wires that only name a field of a signal, such as `\data[1] `.

    Nothing reads them, and Yosys' ABC9 takes one for bit 1 of `data`: it joins the two nets.
    """
    words = Counter(re.findall(r"\\[^ ]+ ", module))
    for name in _FIELD.findall(module):
        if words[f"{name} "] == 2:      # its declaration and its one assignment
            escaped = re.escape(name)
            module, dropped = re.subn(rf"^  (?:wire (?:\[\d+:0\] )?{escaped} ;|"
                                      rf"assign {escaped}  = [^;]*;)\n", "", module, flags=re.M)
            assert dropped == 2
    return module


def to_verilog(component: Any, name: str) -> str:
    """Verilog text of `component` with the top module `name`; the same text every time.

    Memories that start at zero get no initial contents: nothing reads a word it has not written,
    and one line per word would be a quarter of the text.
    """
    text = verilog.convert(component, name=name, emit_src=False, strip_internal_attrs=True)
    modules = re.split(r"(?<=^endmodule\n)", _ZERO_MEMORY.sub("", text), flags=re.M)
    return "".join(_guard_constant_processes(_drop_fields(module)) for module in modules)


def generate(config: Config) -> str:
    """Verilog text of the core for `config`; the top module is `hqdm_core`."""
    from rtl.core import Core
    return to_verilog(Core(config), TOP)


def generate_cached(config: Config, cache: Path | None = None) -> str:
    """`generate(config)`, kept in the build cache under the hash of rtl/, spec/ and `config`.

    Parameters
    ----------
    cache: directory of the build cache; by default `rtl.cache.cache_root()`.
    """
    sources = [*(REPOSITORY / "rtl").rglob("*.py"), *(REPOSITORY / "spec").rglob("*.py")]
    fields = json.dumps(asdict(config), sort_keys=True)
    key = content_hash(files_hash(sources), fields, amaranth.__version__)

    def make(directory: Path) -> None:
        (directory / f"{TOP}.v").write_text(generate(config), encoding="utf-8")

    path = build_once(f"verilog-{config.name}-{key}", make, cache)
    return (path / f"{TOP}.v").read_text(encoding="utf-8")


def ports(text: str, top: str = TOP) -> list[dict[str, Any]]:
    """Name, direction and width of every port of module `top` in Verilog `text`.

    Raises
    ------
    ValueError: there is no such module.
    """
    module = re.search(rf"^module \\?{re.escape(top)}\b.*?^endmodule", text, re.M | re.S)
    if module is None:
        raise ValueError(f"verilog: wanted a module {top}, found none")
    found = re.findall(r"^  (input|output) (?:wire |reg )?(?:\[(\d+):0\] )?(\S+) ?;",
                       module.group(0), re.M)
    return [{"name": name, "direction": direction, "width": int(msb or 0) + 1}
            for direction, msb, name in found]


def sidecar(config: Config, text: str) -> dict[str, Any]:
    """What a user of the Verilog `text` needs to know: configuration, hashes, ports, registers."""
    return {
        "top": TOP,
        "config": asdict(config),
        "config_hash": f"0x{config.hash:08x}",
        "verilog_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "ports": ports(text),
        "registers": [asdict(register) for register in REGISTERS],
    }


def write_verilog(config: Config, output: Path, cache: Path | None = None) -> dict[str, Any]:
    """Write `output` and `output`.json, each by rename; returns the sidecar."""
    text = generate_cached(config, cache)
    description = sidecar(config, text)
    write_atomically(output, text)
    write_atomically(Path(f"{output}.json"), json.dumps(description, indent=2) + "\n")
    return description
