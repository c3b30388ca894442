"""cocotb tests on generated Verilog, with builds cached by content hash.

They run under Verilator, or under Icarus Verilog, a simulator of events with unknown values.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cocotb
from cocotb_tools.config import libs_dir
from cocotb_tools.runner import get_runner

from hqdm.kit.cache import ROOT, build_once, content_hash
from hqdm.rtl.generate import generate_cached, ports, to_verilog, top_name
from hqdm.sim.verilator import (
    WAIVERS,
    built_in,
    environment,
    has_space,
    keep_only,
    verilator_version,
)
from hqdm.spec.config import Config


@dataclass(frozen=True)
class Simulator:
    """What runs the Verilog.

    Parameters
    ----------
    name: as cocotb knows it. arguments: of its compiler.
    """

    name: str
    arguments: tuple[str, ...]

    @property
    def version(self) -> str:
        """What the tool says of itself; RuntimeError if it is missing."""
        if self.name == "verilator":
            return verilator_version()
        if not icarus_found():
            raise RuntimeError("icarus: wanted iverilog, found none; run: "
                               "apt-get install -y iverilog")
        return subprocess.run(["iverilog", "-V"], capture_output=True, text=True,
                              check=True).stdout.splitlines()[0]


VERILATOR = Simulator("verilator", (
    *WAIVERS, "--no-public-flat-rw", "-O3", "--x-assign", "fast", "--x-initial", "fast",
    "--noassert", "-CFLAGS", "-std=c++20 -O1"))


def icarus(edition: str) -> Simulator:
    """Icarus Verilog reading an edition of the language: 2005, 2009, 2012 ..."""
    return Simulator("icarus", (f"-g{edition}",))


def icarus_found() -> bool:
    return shutil.which("iverilog") is not None


def _visible_ports(verilog: str, top: str, directory: Path) -> Path:
    """Verilator's list of what cocotb sees; it would take minutes to compile all signals so."""
    visible = directory / "ports.vlt"
    lines = [f'public_flat_rw -module "{top}" -var "{port["name"]}"'
             for port in ports(verilog, top)]
    visible.write_text("\n".join(["`verilator_config", *lines, ""]), encoding="utf-8")
    return visible


def _build(simulator: Simulator, verilog: str, top: str, place: Path) -> None:
    with built_in(place) as directory:
        _compile(simulator, verilog, top, directory)
        keep_only(directory, top, f"{top}.v", "sim.vvp")


def _compile(simulator: Simulator, verilog: str, top: str, directory: Path) -> None:
    source = directory / f"{top}.v"
    source.write_text(verilog, encoding="utf-8")
    sources = [source]
    if simulator.name == "verilator":
        sources.append(_visible_ports(verilog, top, directory))
    log = directory / "build.log"
    try:
        get_runner(simulator.name).build(
            sources=sources, hdl_toplevel=top, build_dir=directory, log_file=log,
            build_args=list(simulator.arguments), timescale=("1ns", "1ps"), always=True)
    except (SystemExit, RuntimeError) as error:
        last = "\n".join(log.read_text().splitlines()[-30:]) if log.exists() else ""
        raise RuntimeError(f"build of {top} for cocotb failed: {error}\n{last}") from error


def _failures(results: Path) -> str:
    """One line for each failed test of a JUnit file, empty if all passed."""
    cases = ElementTree.parse(results).getroot().iter("testcase")
    bad = [(case, child) for case in cases for child in case if child.tag in ("failure", "error")]
    return "\n".join(f"{case.get('classname')}.{case.get('name')}: "
                     f"{child.get('message') or child.get('error_msg')}" for case, child in bad)


def run_verilog(verilog: str, top: str, test_module: str, *, seed: int = 1,
                testcase: str | None = None, parameters: Mapping[str, str] | None = None,
                cache: Path | None = None, simulator: Simulator = VERILATOR) -> None:
    """Run the cocotb tests of module `test_module` on Verilog text with top module `top`.

    Parameters
    ----------
    seed: cocotb's random seed (`random` is seeded with it).
    testcase: name of one test; all of the module by default.
    parameters: environment variables for the tests; read them with `os.environ`.
    cache: build cache; by default `hqdm.kit.cache.cache_root()`.
    simulator: what runs it.

    Raises
    ------
    AssertionError: a test failed; the message has the end of the simulation's log.
    RuntimeError: the simulator is missing, or the build failed.
    """
    key = content_hash(verilog, top, simulator.name, *simulator.arguments, simulator.version,
                       cocotb.__version__)
    path = os.pathsep.join([str(ROOT), *sys.path])
    # a cached build names the cocotb of the environment that built it, which may be gone
    libraries = os.pathsep.join(
        filter(None, [str(libs_dir), os.environ.get("LD_LIBRARY_PATH", "")]))
    if has_space(Path(libs_dir)):
        raise RuntimeError(f"cocotb: wanted it in a folder without a space in its name, which make "
                           f"does not take, got {libs_dir}")
    with patch.dict(os.environ, environment()), tempfile.TemporaryDirectory() as scratch:
        build = build_once(f"cocotb-{top}-{key}",
                           lambda d: _build(simulator, verilog, top, d), cache)
        log, results = Path(scratch, "test.log"), Path(scratch, "results.xml")
        problem = ""
        try:
            get_runner(simulator.name).test(
                test_module=test_module, hdl_toplevel=top, hdl_toplevel_lang="verilog",
                build_dir=build, test_dir=scratch, results_xml=str(results), seed=seed,
                testcase=testcase, log_file=log,
                extra_env={"PYTHONPATH": path, "LD_LIBRARY_PATH": libraries,
                           **(parameters or {})})
        except (SystemExit, RuntimeError) as error:
            problem = str(error) or "the simulation failed"
        problem = (_failures(results) if results.exists() else "no results") or problem
        tail = "\n".join(log.read_text().splitlines()[-60:]) if log.exists() else ""
    assert not problem, f"{test_module} (seed {seed}): {problem}\n{tail}"


def run_block(component: Any, top: str, test_module: str, **options: Any) -> None:
    """`run_verilog` on an Amaranth component; its clock and reset are `clk` and `rst`."""
    run_verilog(to_verilog(component, top), top, test_module, **options)


def run_core(config: Config, test_module: str, **options: Any) -> None:
    """`run_verilog` on the core for `config`."""
    verilog = generate_cached(config, options.get("cache"))
    run_verilog(verilog, top_name(config), test_module, **options)
