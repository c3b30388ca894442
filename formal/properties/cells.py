"""Every kind of processing element against the product, for all operands and weights."""

from amaranth import *

from formal.harness import Harness
from rtl.multiply.cell import CELLS, PairSum, Product

OPERAND_BITS = 10
PRODUCT_LATENCY = 3


def _product(h: Harness, kind: str) -> None:
    dut = h.m.submodules.dut = Product(kind, OPERAND_BITS)
    operand = h.fixed(signed(OPERAND_BITS), "operand")
    h.m.d.comb += dut.operand.eq(operand)
    for k in range(2):
        weight = h.fixed(signed(4), f"weight{k}")
        h.m.d.comb += getattr(dut, f"weight{k}").eq(weight)
        exact = operand * weight
        for cycle in range(PRODUCT_LATENCY):
            exact = h.past(exact, f"exact{k}_{cycle}")
        h.require(f"product{k}", getattr(dut, f"product{k}") == exact)


def multiply(h: Harness) -> None:
    """The plain cell: two products of 10 x 4 bits."""
    _product(h, "multiply")


def packed(h: Harness) -> None:
    """One multiplication makes two exact products, the borrow between them corrected."""
    _product(h, "packed")


def booth(h: Harness) -> None:
    """Additions alone make the product."""
    _product(h, "booth")


def pair_sum(h: Harness) -> None:
    """Two sums in one adder, with the Booth cell's carries: neither disturbs the other."""
    cell, width = CELLS["booth"](OPERAND_BITS), 18
    pair = PairSum(width)
    above = [h.free(signed(width), f"above{k}") for k in range(2)]
    operand = h.free(signed(OPERAND_BITS), "operand")
    weights = [h.free(signed(4), f"weight{k}") for k in range(2)]
    travelling, code = Signal(cell.operand_bits), Signal(cell.code_bits)
    h.m.d.comb += [travelling.eq(cell.operand(operand)), code.eq(cell.code(weights))]
    dut = h.m.submodules.dut = Module()
    sums = pair.split(pair.add(dut, above, cell.products(dut, travelling, code), "dut"))
    for k in range(2):
        raw = h.past(operand * weights[k], f"raw{k}")
        product = h.past(raw, f"product{k}")
        total = h.past((product + above[k])[:width], f"total{k}")
        h.require(f"sum{k}", sums[k].as_unsigned() == total)
