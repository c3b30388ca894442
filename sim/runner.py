"""cocotb tests under Verilator on generated Verilog, with builds cached by content hash."""

import os
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cocotb
from cocotb_tools.config import libs_dir
from cocotb_tools.runner import get_runner

from hqdm.kit.cache import ROOT, build_once, content_hash
from hqdm.rtl.generate import TOP, generate_cached, ports, to_verilog
from hqdm.sim.verilator import WAIVERS, environment, verilator_version
from hqdm.spec.config import Config

BUILD_ARGUMENTS = (
    *WAIVERS, "--no-public-flat-rw", "-O3", "--x-assign", "fast", "--x-initial", "fast",
    "--noassert",
    "-CFLAGS", "-std=c++20 -O1")


def _build(verilog: str, top: str, directory: Path) -> None:
    source = directory / f"{top}.v"
    source.write_text(verilog, encoding="utf-8")
    # cocotb's runner would make every signal visible, which takes minutes to compile for a core
    visible = directory / "ports.vlt"
    lines = [f'public_flat_rw -module "{top}" -var "{port["name"]}"'
             for port in ports(verilog, top)]
    visible.write_text("\n".join(["`verilator_config", *lines, ""]), encoding="utf-8")
    log = directory / "build.log"
    try:
        get_runner("verilator").build(
            sources=[source, visible], hdl_toplevel=top, build_dir=directory, log_file=log,
            build_args=list(BUILD_ARGUMENTS), timescale=("1ns", "1ps"), always=True)
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
                cache: Path | None = None) -> None:
    """Run the cocotb tests of module `test_module` on Verilog text with top module `top`.

    Parameters
    ----------
    seed: cocotb's random seed (`random` is seeded with it).
    testcase: name of one test; all of the module by default.
    parameters: environment variables for the tests; read them with `os.environ`.
    cache: build cache; by default `hqdm.kit.cache.cache_root()`.

    Raises
    ------
    AssertionError: a test failed; the message has the end of the simulation's log.
    RuntimeError: the build failed.
    """
    key = content_hash(verilog, top, *BUILD_ARGUMENTS, verilator_version(), cocotb.__version__)
    path = os.pathsep.join([str(ROOT), *sys.path])
    # a cached build names the cocotb of the environment that built it, which may be gone
    libraries = os.pathsep.join(
        filter(None, [str(libs_dir), os.environ.get("LD_LIBRARY_PATH", "")]))
    with patch.dict(os.environ, environment()), tempfile.TemporaryDirectory() as scratch:
        build = build_once(f"cocotb-{top}-{key}", lambda d: _build(verilog, top, d), cache)
        log, results = Path(scratch, "test.log"), Path(scratch, "results.xml")
        problem = ""
        try:
            get_runner("verilator").test(
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
    run_verilog(verilog, TOP, test_module, **options)
