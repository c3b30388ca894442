"""Builds the shared library of one Verilated core, cached by content hash."""

import platform
from pathlib import Path

from hqdm.kit.cache import build_once, content_hash, files_hash
from hqdm.rtl.generate import generate_cached, top_name
from hqdm.sim.verilator import (
    WAIVERS,
    built_in,
    keep_only,
    machine_key,
    run_tool,
    verilator_root,
    verilator_version,
)
from hqdm.spec.config import Config

HERE = Path(__file__).resolve().parent
LIBRARY = "device.so"
SUPPORT = "libsupport.a"
# GCC 12 knows what AVX-512 costs on Intel's processors alone.
TUNING = ("-mtune=icelake-server",) if platform.machine() == "x86_64" else ()
CXX_FLAGS = ("-std=c++20", "-fPIC", "-march=native", *TUNING, "-fno-semantic-interposition")
OPTIMISATION = ("OPT_FAST=-O3", "OPT_SLOW=-O0", "OPT_GLOBAL=-O2")
VERILATOR_FLAGS = (
    "--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert",
    "--prefix", "Vcore", "--Mdir", ".", "--output-split", "8000")
# A row of the array as a class of its own: better in the instruction cache than all in one.
CONTROL = """`verilator_config
no_inline -module "*array.row*"
"""
JOBS = 2


def _make_support(directory: Path) -> None:
    include = verilator_root() / "include"
    objects = []
    for name in ("verilated", "verilated_threads"):
        objects.append(f"{name}.o")
        run_tool(["g++", "-O2", *CXX_FLAGS, "-DVM_TRACE=0", "-DVM_COVERAGE=0", "-I", str(include),
                  "-I", str(include / "vltstd"), "-c", "-o", objects[-1],
                  str(include / f"{name}.cpp")], directory, f"compilation of {name}")
    run_tool(["ar", "rcs", SUPPORT, *objects], directory, "archive of Verilator's support")


def _support(cache: Path | None) -> Path:
    """Verilator's own run-time library, the same for every core."""
    key = content_hash(verilator_version(), machine_key(), *CXX_FLAGS)
    return build_once(f"support-{key}", _make_support, cache) / SUPPORT


def _make(verilog: str, top: str, cache: Path | None, directory: Path) -> None:
    with built_in(directory) as work:
        _compile(verilog, top, cache, work)
        keep_only(work, LIBRARY, f"{top}.v")


def _compile(verilog: str, top: str, cache: Path | None, directory: Path) -> None:
    (directory / f"{top}.v").write_text(verilog, encoding="utf-8")
    (directory / "control.vlt").write_text(CONTROL, encoding="utf-8")
    run_tool(["verilator", *VERILATOR_FLAGS, *WAIVERS, "-CFLAGS", " ".join(CXX_FLAGS),
              "--top-module", top, "control.vlt", f"{top}.v"], directory, f"verilator on {top}")
    run_tool(["make", "-j", str(JOBS), "-f", "Vcore.mk", *OPTIMISATION, "libVcore.a"],
             directory, f"compilation of {top}")
    run_tool(["g++", "-O3", *CXX_FLAGS, "-shared", "-o", LIBRARY, "-I", ".", "-I", str(HERE),
              "-I", str(verilator_root() / "include"),
              "-I", str(verilator_root() / "include" / "vltstd"),
              str(HERE / "harness.cpp"), "libVcore.a", str(_support(cache)), "-pthread"],
             directory, f"harness of {top}")


def build_verilog(verilog: str, top: str, cache: Path | None = None) -> Path:
    """Path of the shared library for Verilog text whose module `top` has the core's ports.

    Raises
    ------
    RuntimeError: a tool is missing or failed; the message ends with what it printed last.
    """
    sources = [*HERE.glob("*.cpp"), *HERE.glob("*.hpp")]
    key = content_hash(verilog, top, files_hash(sources), verilator_version(), machine_key(),
                       CONTROL, *VERILATOR_FLAGS, *CXX_FLAGS, *OPTIMISATION)
    directory = build_once(f"runtime-{top}-{key}", lambda d: _make(verilog, top, cache, d),
                           cache)
    return directory / LIBRARY


def build(config: Config, cache: Path | None = None) -> Path:
    """Path of the shared library for the core of `config`, built if it is not in the cache."""
    return build_verilog(generate_cached(config, cache, required=True), top_name(config), cache)
