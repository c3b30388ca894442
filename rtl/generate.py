"""Verilog of the core, and the sidecar that describes it."""

import hashlib
import json
import re
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from amaranth.back import verilog

from hqdm.kit.cache import ROOT, content_hash, files_hash, some_cache, text_once
from hqdm.kit.files import check_writable, is_plain, write_together
from hqdm.rtl.verilog_text import improve
from hqdm.spec.config import Config
from hqdm.spec.registers import REGISTERS

# When this process began: sources edited later are not what it generates from.
_SOURCES = files_hash(
    file for folder in ("rtl", "spec") for file in (ROOT / folder).rglob("*.py"))


def to_verilog(component: Any, name: str) -> str:
    """Verilog text of `component` with the top module `name`; the same text every time.

    Raises
    ------
    RuntimeError: Yosys failed; the text has the last line that it printed.
    """
    try:
        with some_cache():
            return improve(verilog.convert(
                component, name=name, emit_src=False, strip_internal_attrs=True))
    except verilog.YosysError as error:
        last = str(error).strip().splitlines()[-1:] or ["no output"]
        raise RuntimeError(f"Yosys of amaranth[builtin-yosys]: {last[0].strip()}") from error


def top_name(config: Config, prefix: str | None = None) -> str:
    """The core's top module; the names of all other modules begin with it and a dot.

    Parameters
    ----------
    prefix: the name; by default that of `config` after `hqdm_`, so that cores of different
        configurations stand in one design.

    Raises
    ------
    ValueError: `prefix` is no simple identifier of Verilog.
    """
    if prefix is None:
        return "hqdm_" + re.sub(r"[^A-Za-z0-9_]", "_", config.name)
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", prefix):
        raise ValueError(f"--prefix: wanted letters, digits and _, no digit first, got {prefix!r}")
    return prefix


def generate(config: Config, prefix: str | None = None) -> str:
    """Verilog text of the core for `config`, with the top module `top_name(config, prefix)`."""
    from hqdm.rtl.core import Core
    return to_verilog(Core(config), top_name(config, prefix))


def generate_cached(config: Config, cache: Path | None = None, prefix: str | None = None,
                    required: bool = False) -> str:
    """`generate(...)`, kept in the build cache under the hash of rtl/, spec/ and what is asked.

    Parameters
    ----------
    cache: directory of the build cache; by default `hqdm.kit.cache.cache_root()`.
    prefix: see `top_name`.
    required: as of `hqdm.kit.cache.text_once`.
    """
    top = top_name(config, prefix)
    fields = json.dumps(asdict(config), sort_keys=True)
    key = content_hash(_SOURCES, fields, top, version("amaranth"))
    return text_once(f"verilog-{config.name}-{key}", lambda: generate(config, prefix), cache,
                     required)


def ports(text: str, top: str) -> list[dict[str, Any]]:
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


def sidecar(config: Config, text: str, top: str) -> dict[str, Any]:
    """What a user of the Verilog `text` needs to know: configuration, hashes, ports, registers."""
    return {
        "top": top,
        "config": asdict(config),
        "config_hash": f"0x{config.hash:08x}",
        "verilog_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "ports": ports(text, top),
        "registers": [asdict(register) for register in REGISTERS],
    }


def write_verilog(config: Config, output: Path, cache: Path | None = None,
                  prefix: str | None = None) -> dict[str, Any]:
    """Write `output` and `output`.json, both or none; returns the sidecar.

    A device, a pipe and "-", standard output, have no sidecar beside them.
    """
    check_writable(output)
    text = generate_cached(config, cache, prefix)
    description = sidecar(config, text, top_name(config, prefix))
    files = {output: text}
    if is_plain(output):
        files[Path(f"{output}.json")] = json.dumps(description, indent=2) + "\n"
    write_together(files)
    return description
