"""Verilog of the core, and the sidecar that describes it."""

import hashlib
import json
import re
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from amaranth.back import verilog

from hqdm.kit.cache import ROOT, build_once, content_hash, files_hash
from hqdm.kit.files import write_atomically
from hqdm.rtl.verilog_text import improve
from hqdm.spec.config import Config
from hqdm.spec.registers import REGISTERS

TOP = "hqdm_core"
# When this process began: sources edited later are not what it generates from.
_SOURCES = files_hash(
    file for folder in ("rtl", "spec") for file in (ROOT / folder).rglob("*.py"))


def to_verilog(component: Any, name: str) -> str:
    """Verilog text of `component` with the top module `name`; the same text every time."""
    return improve(verilog.convert(
        component, name=name, emit_src=False, strip_internal_attrs=True))


def generate(config: Config) -> str:
    """Verilog text of the core for `config`; the top module is `hqdm_core`."""
    from hqdm.rtl.core import Core
    return to_verilog(Core(config), TOP)


def generate_cached(config: Config, cache: Path | None = None) -> str:
    """`generate(config)`, kept in the build cache under the hash of rtl/, spec/ and `config`.

    Parameters
    ----------
    cache: directory of the build cache; by default `hqdm.kit.cache.cache_root()`.
    """
    fields = json.dumps(asdict(config), sort_keys=True)
    key = content_hash(_SOURCES, fields, version("amaranth"))

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
