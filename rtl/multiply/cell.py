"""The three kinds of processing element: what they do to weights, operands and products.

A cell is a pair of columns: one operand, two 4-bit weights, two products. A product is registered
twice, beside its multiplier and beside its adder, in two parts, ``product = value + carry``; the
carry enters the adder of the partial sum for one
more bit of it, where an addition of its own would need a second adder.
"""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

WEIGHT_BITS = 4


class MultiplyCell:
    """Two multiplications, left to the tool: ``value = operand * weight``.

    Parameters
    ----------
    bits: width of the signed operand.
    """

    def __init__(self, bits: int):
        self.bits = bits

    @property
    def value_bits(self) -> int:
        """Width of a signed product; -8 * -2^(bits - 1) needs all of it."""
        return self.bits + WEIGHT_BITS

    @property
    def operand_bits(self) -> int:
        """Width of what travels with the operand, see `operand`."""
        return self.bits

    @property
    def code_bits(self) -> int:
        """Width of what a cell keeps of two weights, see `code`."""
        return 2 * WEIGHT_BITS

    def operand(self, operand: Value) -> Value:
        """What travels right for a signed `operand`, made once per row."""
        return operand

    def code(self, weights: list[Value]) -> Value:
        """What is kept of two signed weights, made once per column pair."""
        return Cat(weights)

    def products(self, m: Module, operand: Value, code: Value) -> list[tuple[Value, Value]]:
        """(signed value, carry) of both products, to be registered; a constant carry is 0."""
        x = operand.as_signed()
        return [(x * w.as_signed(), Const(0, 1)) for w in (code[:4], code[4:])]


class PackedCell(MultiplyCell):
    """One multiplication makes both products: ``(w1 * 2^k + w0) * x``, k = bits + 3.

    With 10-bit operands the packed weights are exactly 18 bits, an ECP5 multiplier's. The lower
    field is ``w0 * x`` modulo 2^k. If that is negative, it has borrowed one from the upper field:
    the borrow is the sign of the lower product and, as carry, is given back to the upper one. It is
    found from the factors, as the field's top bit is wrong for -8 * -2^(bits - 1) = 2^(k - 1).
    """

    @property
    def operand_bits(self) -> int:
        return self.bits + 1

    @property
    def code_bits(self) -> int:
        return self.bits + 9

    def operand(self, operand):
        """Operand, and whether it is not 0."""
        return Cat(operand, operand.any())

    def code(self, weights):
        """The packed weights, and whether w0 is not 0.

        The copies of w0's sign are the same flip-flops once synthesised.
        """
        low, high = weights
        upper = (high - low[-1])[:5]
        return Cat(low, low[-1].replicate(self.bits - 1), upper, low.any())

    def products(self, m, operand, code):
        shift = self.bits + 3
        packed, nonzero = code[:self.bits + 8].as_signed(), code[self.bits + 8]
        x, moving = operand[:self.bits].as_signed(), operand[self.bits]
        product, borrow = Signal(signed(2 * self.bits + 8)), Signal()
        m.d.comb += [product.eq(packed * x),
                     borrow.eq(nonzero & moving & (packed[shift - 1] ^ x[-1]))]
        return [(Cat(product[:shift], borrow).as_signed(), Const(0, 1)),
                (product[shift:shift + self.value_bits].as_signed(), borrow)]


class BoothCell(MultiplyCell):
    """Additions only: ``w * x = 2 h x + a x`` with the digits h in -3 -1 1 3, a in -2 -1 0 1.

    h = 2 (w >> 2) + 1 and a = (w & 3) - 2. Radix-4 Booth digits -2..2 need a choice of five, five
    inputs for each bit; these need a choice of four, by two bits of the weight as they are, from
    two bits of x or of 3x, which is made once per row: one LUT4 per bit and digit. A negative
    multiple is the complement and a carry: that of h enters the addition of the two multiples,
    that of a the partial sum.
    """

    @property
    def operand_bits(self) -> int:
        return 2 * self.bits + 2

    def operand(self, operand):
        """x and 3x, as a sum: a product would be taken for a multiplier."""
        return Cat(operand, (operand + operand.shift_left(1))[:self.bits + 2])

    def _product(self, m, x, triple, weight):
        twice = Cat(Const(0, 1), x).as_signed()
        upper, lower = Signal(signed(self.bits + 2)), Signal(signed(self.bits + 1))
        magnitude, pair = Signal(signed(self.bits + 2)), Signal(self.bits + 4)
        m.d.comb += [
            magnitude.eq(Mux(weight[3] ^ weight[2], triple, x)),
            upper.eq(Mux(weight[3], ~magnitude, magnitude)),
            lower.eq(Mux(weight[1], Mux(weight[0], x, 0), Mux(weight[0], ~x, ~twice))),
            # a bit below with the carry on one side and 1 on the other makes the carry
            pair.eq(Cat(Const(1, 1), upper).as_signed()
                    + Cat(weight[3], lower[1:]).as_signed()),
        ]
        return Cat(lower[0], pair[1:]).as_signed(), ~weight[1]

    def products(self, m, operand, code):
        x, triple = operand[:self.bits].as_signed(), operand[self.bits:].as_signed()
        return [self._product(m, x, triple, w) for w in (code[:4], code[4:])]


CELLS = {"multiply": MultiplyCell, "packed": PackedCell, "booth": BoothCell}


def _extend(value: Value, width: int) -> Value:
    """Bits of a signed value of at most `width` bits."""
    return Cat(value, value[-1].replicate(width - len(value)))


def _registered(m: Module, product: tuple[Value, Value], name: str) -> tuple[Value, Value]:
    """(value, carry) a cycle later; a constant carry is left alone."""
    value, carry = product
    after = Signal(value.shape(), name=name, reset_less=True)
    m.d.sync += after.eq(value)
    if isinstance(carry, Const):
        return after, carry
    carried = Signal(name=f"{name}_carry", reset_less=True)
    m.d.sync += carried.eq(carry)
    return after, carried


class PairSum:
    """``above[c] + value[c] + carry[c]`` of a pair of columns, registers included.

    Both sums are one word, the lower column below, a bit to be ignored between them, and one carry
    chain adds them: nextpnr adds two cells to each chain. The bit below a field has its carry on
    both sides, which makes that carry whatever comes from the field below.

    Parameters
    ----------
    width: of a sum.
    """

    def __init__(self, width: int):
        self.width = width

    @property
    def bits(self) -> int:
        return 2 * self.width + 1

    def split(self, word: Value) -> list[Value]:
        """The signed sums of a word."""
        return [word[:self.width].as_signed(), word[self.width + 1:].as_signed()]

    def add(self, m: Module, above: list[Value], products: list[tuple[Value, Value]],
            name: str) -> Value:
        """The word of sums, three cycles after the `products` and one after ``above``."""
        (low, low_carry), (high, high_carry) = (
            _registered(m, product, f"raw{c}_{name}") for c, product in enumerate(products))
        start = 0 if isinstance(low_carry, Const) else 1
        addend = Signal(start + self.bits, name=f"product_{name}", reset_less=True)
        word = Signal(self.bits, name=f"sums_{name}", reset_less=True)
        total = Signal(start + self.bits, name=f"total_{name}")
        low_above, high_above = (_extend(value, self.width) for value in above)
        m.d.comb += total.eq(addend + Cat(
            addend[:start], low_above, addend[start + self.width], high_above))
        m.d.sync += [
            addend.eq(Cat(low_carry if start else Const(0, 0), _extend(low, self.width),
                          high_carry, _extend(high, self.width))),
            word.eq(total[start:]),
        ]
        return word


class Product(wiring.Component):
    """One cell's products alone, as the array has them, for checks over all inputs.

    ``products[c] = operand * weights[c]``. Latency: 3 cycles. Throughput: one pair per cycle.

    Parameters
    ----------
    kind: name in `CELLS`. bits: width of the operand.
    """

    def __init__(self, kind: str, bits: int):
        self._cell = CELLS[kind](bits)
        super().__init__({
            "operand": In(signed(bits)), "weight0": In(signed(4)), "weight1": In(signed(4)),
            "product0": Out(signed(bits + 4)), "product1": Out(signed(bits + 4)),
        })

    def elaborate(self, platform):
        m = Module()
        cell = self._cell
        operand, code = Signal(cell.operand_bits), Signal(cell.code_bits)
        m.d.comb += [operand.eq(cell.operand(self.operand)),
                     code.eq(cell.code([self.weight0, self.weight1]))]
        zero, sums = Const(0, signed(cell.value_bits)), PairSum(cell.value_bits)
        word = sums.add(m, [zero, zero], cell.products(m, operand, code), "pair")
        low, high = sums.split(word)
        m.d.comb += [self.product0.eq(low), self.product1.eq(high)]
        return m
