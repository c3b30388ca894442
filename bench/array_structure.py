"""Our array against one module per cell: `python -m bench.array_structure [--n 32] [--json FILE]`.

Generates Verilog of both, builds both simulators with the flags of the runtime, on two cores, and
clocks each with random operands and a swap every n cycles: seconds to generate and to build, and
simulated cycles per second. The naive array is what the first version of the core was designed
from: a module for each multiply-accumulate, operands and sums registered in each.
"""

import argparse
import ctypes
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amaranth import Const, Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from bench.command import write_json
from hqdm.rtl.generate import to_verilog
from hqdm.rtl.multiply.array import SystolicArray
from hqdm.sim.runtime.build import CONTROL, CXX_FLAGS, JOBS, OPTIMISATION, VERILATOR_FLAGS
from hqdm.sim.verilator import WAIVERS, run_tool, verilator_root
from hqdm.spec.config import PRESETS, Config

HARNESS = """
#include "Vcore.h"
#include "verilated.h"
#include <cstdint>
double sc_time_stamp() { return 0; }
template <class T> static void fill(T &port, uint32_t value) { port = value; }
template <std::size_t N> static void fill(VlWide<N> &port, uint32_t value) {
    for (std::size_t i = 0; i < N; i++) port[i] = value = value * 1664525 + 1013904223;
}
extern "C" void clock_array(int cycles, int n) {
    VerilatedContext context;
    Vcore dut(&context, "array");
    uint32_t value = 1;
    for (int t = 0; t < cycles; t++) {
        value = value * 1664525 + 1013904223;
        dut.clk = 0;
        fill(dut.operands, value);
        fill(dut.weight_row, value ^ 0x5a5a5a5a);
        dut.swap = t % n == 0;
        dut.weight_enable = 1;
        dut.weight_index = t % n;
        dut.eval();
        dut.clk = 1;
        dut.eval();
    }
    dut.final();
}
"""


class NaiveCell(wiring.Component):
    """Operand passed right, ``below = above + operand * weight``, both registered."""

    def __init__(self, config: Config):
        super().__init__({
            "write": In(1), "swap": In(1), "weight": In(signed(4)),
            "operand": In(signed(config.operand_bits)),
            "passed": Out(signed(config.operand_bits)),
            "above": In(signed(config.partial_sum_bits)),
            "below": Out(signed(config.partial_sum_bits)),
            "write_passed": Out(1), "swap_passed": Out(1), "weight_passed": Out(signed(4)),
        })

    def elaborate(self, platform):
        m = Module()
        shadow, active = Signal(signed(4)), Signal(signed(4))
        with m.If(self.write):
            m.d.sync += shadow.eq(self.weight)
        with m.If(self.swap):
            m.d.sync += active.eq(shadow)
        m.d.sync += [
            self.passed.eq(self.operand), self.below.eq(self.above + self.operand * active),
            self.write_passed.eq(self.write), self.swap_passed.eq(self.swap),
            self.weight_passed.eq(self.weight)]
        return m


class NaiveArray(wiring.Component):
    """The ports and, but for the skew of the weights, the function of `SystolicArray`."""

    def __init__(self, config: Config):
        self._config = config
        n, operand = config.n, signed(config.operand_bits)
        super().__init__({
            "operands": In(data.ArrayLayout(operand, n)), "swap": In(1), "weight_enable": In(1),
            "weight_index": In(range(n)), "weight_row": In(data.ArrayLayout(signed(4), n)),
            "sums": Out(data.ArrayLayout(signed(config.partial_sum_bits), n)),
        })

    def elaborate(self, platform):
        m = Module()
        n = self._config.n
        above = [Const(0, signed(1))] * n
        weights = [self.weight_row[c] for c in range(n)]
        swap = self.swap
        for r in range(n):
            operand = self.operands[r]
            for i in range(r):
                stage = Signal.like(operand, name=f"skew_{r}_{i}")
                m.d.sync += stage.eq(operand)
                operand = stage
            write, right = self.weight_enable & (self.weight_index == r), swap
            for c in range(n):
                cell = m.submodules[f"cell_{r}_{c}"] = NaiveCell(self._config)
                m.d.comb += [cell.operand.eq(operand), cell.above.eq(above[c]),
                             cell.weight.eq(weights[c]), cell.write.eq(write),
                             cell.swap.eq(right)]
                operand, above[c] = cell.passed, cell.below
                write, right = cell.write_passed, cell.swap_passed
            down = Signal(name=f"swap_{r}")
            m.d.sync += down.eq(swap)
            swap = down
        m.d.comb += [self.sums[c].eq(above[c]) for c in range(n)]
        return m


ARRAYS = {"rows": SystolicArray, "a module per cell": NaiveArray}
ROUNDS = 9


def build(verilog: str, directory: Path) -> ctypes.CDLL:
    """The simulator of `verilog`, compiled as the runtime of the core is."""
    include = verilator_root() / "include"
    (directory / "array.v").write_text(verilog)
    (directory / "harness.cpp").write_text(HARNESS)
    (directory / "control.vlt").write_text(CONTROL)
    run_tool(["verilator", *VERILATOR_FLAGS, *WAIVERS, "-CFLAGS", " ".join(CXX_FLAGS),
              "--top-module", "array", "control.vlt", "array.v"], directory, "verilator")
    run_tool(["make", "-j", str(JOBS), "-f", "Vcore.mk", *OPTIMISATION, "libVcore.a"],
             directory, "make")
    run_tool(["g++", "-O2", *CXX_FLAGS, "-shared", "-o", "array.so", "-I", ".", "-I",
              str(include), "-I", str(include / "vltstd"), "harness.cpp", "libVcore.a",
              str(include / "verilated.cpp"), str(include / "verilated_threads.cpp"),
              "-pthread"], directory, "g++")
    return ctypes.CDLL(str(directory / "array.so"))


def prepare(component: Any, directory: Path) -> tuple[ctypes.CDLL, dict[str, float]]:
    """The simulator; seconds to generate and to build it, megabytes of Verilog."""
    start = time.perf_counter()
    verilog = to_verilog(component, "array")
    generated = time.perf_counter()
    library = build(verilog, directory)
    return library, {"generation_s": generated - start, "verilog_mb": len(verilog) / 1e6,
                     "build_s": time.perf_counter() - generated}


def race(libraries: Mapping[str, ctypes.CDLL], n: int, cycles: int) -> dict[str, float]:
    """Cycles per second of processor time, the best of rounds in which all take turns."""
    best = dict.fromkeys(libraries, float("inf"))
    for _ in range(ROUNDS):
        for label, library in libraries.items():
            begin = time.process_time()
            library.clock_array(cycles, n)
            best[label] = min(best[label], time.process_time() - begin)
    return {label: cycles / seconds for label, seconds in best.items()}


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    lines = ["| array | Verilog | generation | build | cycles/s |", "|---|--:|--:|--:|--:|"]
    lines += [f"| {label} | {row['verilog_mb']:.2f} MB | {row['generation_s']:.1f} s | "
              f"{row['build_s']:.1f} s | {row['cycles_per_s']:,.0f} |"
              for label, row in found.items()]
    return "\n".join([*lines, "", f"{ratio(found):.2f} times the cycles per second"])


def ratio(found: Mapping[str, Mapping[str, float]]) -> float:
    return found["rows"]["cycles_per_s"] / found["a module per cell"]["cycles_per_s"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=32, choices=[c.n for c in PRESETS.values()])
    parser.add_argument("--cycles", type=int, default=20_000)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    config, libraries, found = PRESETS[f"n{options.n}"], {}, {}
    with tempfile.TemporaryDirectory() as directory:
        for label, kind in ARRAYS.items():
            folder = Path(directory, kind.__name__)
            folder.mkdir()
            libraries[label], found[label] = prepare(kind(config), folder)
        for label, speed in race(libraries, options.n, options.cycles).items():
            found[label]["cycles_per_s"] = speed
    print(table(found))
    write_json(options.json, {"n": options.n, "arrays": found, "speed_ratio": ratio(found)})


if __name__ == "__main__":
    main()
