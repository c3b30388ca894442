"""Every cell is exact for every input: the generated Verilog, compiled, over all of them."""

import ctypes
from pathlib import Path

import numpy as np
import pytest

from hqdm.kit.cache import build_once, content_hash
from hqdm.rtl.generate import to_verilog
from hqdm.rtl.multiply.cell import CELLS, Product
from hqdm.sim.verilator import WAIVERS, run_tool, verilator_root, verilator_version

BITS = 10
HARNESS = """
#include "Vproduct.h"
double sc_time_stamp() { return 0; }
extern "C" void all_products(int bits, int *low, int *high) {
    Vproduct dut;
    const int operands = 1 << bits, sign = 1 << (bits + 3);
    for (int i = 0; i < operands << 8; i++) {
        dut.operand = i >> 8; dut.weight0 = i & 15; dut.weight1 = (i >> 4) & 15;
        for (int edge = 0; edge < 6; edge++) { dut.clk = edge & 1; dut.eval(); }
        low[i] = (dut.product0 ^ sign) - sign;
        high[i] = (dut.product1 ^ sign) - sign;
    }
}
"""


def library(verilog: str, cache: Path | None = None) -> ctypes.CDLL:
    """The shared library of a `Product`, built once."""
    root = verilator_root() / "include"

    def make(directory: Path) -> None:
        (directory / "product.v").write_text(verilog)
        (directory / "harness.cpp").write_text(HARNESS)
        run_tool(["verilator", "--cc", "-O3", *WAIVERS, "--prefix", "Vproduct", "--Mdir", ".",
                  "product.v"], directory, "verilator")
        run_tool(["g++", "-O1", "-std=c++20", "-fPIC", "-shared", "-o", "product.so", "-I", ".",
                  "-I", str(root), "-I", str(root / "vltstd"), "-include", "Vproduct.h",
                  *sorted(p.name for p in directory.glob("*.cpp")),
                  str(root / "verilated.cpp"), str(root / "verilated_threads.cpp"), "-pthread"],
                 directory, "g++")

    key = content_hash(verilog, HARNESS, verilator_version())
    return ctypes.CDLL(str(build_once(f"product-{key}", make, cache) / "product.so"))


def products(verilog: str) -> np.ndarray:
    """Both products of all operands and pairs of weights, in the order of the harness."""
    found = np.zeros((2, 1 << BITS + 8), dtype=np.int32)
    pointers = [row.ctypes.data_as(ctypes.c_void_p) for row in found]
    library(verilog).all_products(BITS, *pointers)
    return found


def signed(values: np.ndarray, bits: int) -> np.ndarray:
    return (values ^ 1 << bits - 1) - (1 << bits - 1)


@pytest.mark.parametrize("kind", CELLS)
def test_exact_for_all_inputs(kind):
    """1024 operands x 16 x 16 weights."""
    index = np.arange(1 << BITS + 8)
    operand = signed(index >> 8, BITS)
    weights = signed(index & 15, 4), signed(index >> 4 & 15, 4)
    found = products(to_verilog(Product(kind, BITS), "product"))
    for c in range(2):
        assert np.array_equal(found[c], operand * weights[c])
