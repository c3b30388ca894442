"""Every kind of processing element against the product, for all operands and weights."""

from amaranth import *

from formal.harness import Harness
from hqdm.rtl.multiply.cell import CELLS, Product, registered

OPERAND_BITS = 10
SUM_BITS = 18
PRODUCT_LATENCY = 3


def _filled(h: Harness) -> Value:
    """The pipeline holds nothing of what it started with, which is no sum."""
    filled = Const(1, 1)
    for cycle in range(PRODUCT_LATENCY):
        filled = h.past(filled, f"filled{cycle}")
    return filled


def _product(h: Harness, kind: str) -> None:
    dut = h.m.submodules.dut = Product(kind, OPERAND_BITS)
    operand = h.fixed(signed(OPERAND_BITS), "operand")
    h.m.d.comb += dut.operand.eq(operand)
    filled = _filled(h)
    for k in range(2):
        weight = h.fixed(signed(4), f"weight{k}")
        h.m.d.comb += getattr(dut, f"weight{k}").eq(weight)
        exact = operand * weight
        for cycle in range(PRODUCT_LATENCY):
            exact = h.past(exact, f"exact{k}_{cycle}")
        h.require(f"product{k}", ~filled | (getattr(dut, f"product{k}") == exact))


def multiply(h: Harness) -> None:
    """The plain cell: two products of 10 x 4 bits."""
    _product(h, "multiply")


def packed(h: Harness) -> None:
    """One multiplication makes two exact products, the borrow between them corrected."""
    _product(h, "packed")


def booth(h: Harness) -> None:
    """Additions alone make the product."""
    _product(h, "booth")


def _pair_sum(h: Harness, kind: str) -> tuple[Value, Value, list[Value]]:
    """The word of sums, what was above, and the exact products, of the same cycle."""
    cell, width = CELLS[kind](OPERAND_BITS), SUM_BITS
    above = h.free(unsigned(2 * width), "above")
    operand = h.free(signed(OPERAND_BITS), "operand")
    weights = [h.free(signed(4), f"weight{k}") for k in range(2)]
    travelling, code = Signal(cell.operand_bits), Signal(cell.code_bits)
    word = Signal(2 * width)
    h.m.d.comb += [travelling.eq(cell.operand(operand)), code.eq(cell.code(weights))]
    dut = h.m.submodules.dut = Module()
    raw = registered(dut, cell.multiply(dut, travelling, code), "raw")
    dut.d.sync += word.eq(cell.add(dut, above, raw, width, "dut"))
    products = [h.past(h.past(operand * weights[k], f"raw{k}"), f"product{k}") for k in range(2)]
    return word, above, products


def pair_sum(h: Harness) -> None:
    """Two sums in one adder, with the Booth cell's carries: neither disturbs the other."""
    word, above, products = _pair_sum(h, "booth")
    offset = 1 << CELLS["booth"](OPERAND_BITS).value_bits - 1
    low = h.past((above[:SUM_BITS] + products[0])[:SUM_BITS], "low")
    high = h.past((above[SUM_BITS:] + products[1] + offset)[:SUM_BITS], "high")
    filled = _filled(h)
    h.require("sum0", ~filled | (word[:SUM_BITS] == low))
    h.require("sum1", ~filled | (word[SUM_BITS:] == high))


def packed_sum(h: Harness) -> None:
    """As one integer, the word of the packed cell's sums grows by what both products are."""
    word, above, products = _pair_sum(h, "packed")
    offset = 1 << CELLS["packed"](OPERAND_BITS).value_bits - 1
    upper = (products[1] + offset).shift_left(SUM_BITS)
    total = h.past((above + products[0] + upper)[:2 * SUM_BITS], "total")
    h.require("word", ~_filled(h) | (word == total))
