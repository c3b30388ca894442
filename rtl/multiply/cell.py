"""The three kinds of processing element: what they do to weights, operands and products.

A cell is a pair of columns: one operand, two 4-bit weights, two products. A product is registered
twice, beside its multiplier and beside its adder.
"""

from amaranth import *
from amaranth.lib.wiring import In, Out

from hqdm.rtl.component import Component

WEIGHT_BITS = 4
NATIVE_BITS = 32    # simulators multiply so many bits as they are, fewer with masks


def _flip_top(value: Value) -> Value:
    """A signed value plus half its range, or such a sum as signed value; the bits."""
    return Cat(value[:-1], ~value[-1])


def _extend(value: Value, width: int, sign: Value) -> Value:
    """A value and its sign as `width` bits; one choice, as simulators like it."""
    more = width - len(value)
    return Cat(value, Mux(sign, Const((1 << more) - 1, more), Const(0, more)))


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

    def multiply(self, m: Module, operand: Value, code: Value) -> list[Value]:
        """What is registered beside the multiplier."""
        x = operand.as_signed()
        return [x * w.as_signed() for w in (code[:4], code[4:])]

    def products(self, registered: list[Value]) -> list[tuple[Value, Value]]:
        """(signed value, carry) of both products, from what `multiply` made a cycle before."""
        return [(product, Const(0, 1)) for product in registered]

    def add(self, m: Module, above: Value, registered: list[Value], width: int,
            name: str) -> Value:
        """The word of `above` and both products, see `PairSum`; the addend is registered.

        A bit is put between the columns, with the upper carry on both sides, which makes that
        carry whatever comes from below; likewise a bit at the bottom if there is a lower carry.
        """
        (low, low_carry), (high, high_carry) = self.products(registered)
        carries = [] if isinstance(low_carry, Const) else [low_carry]
        start = len(carries)
        addend = Signal(start + 2 * width + 1, name=f"addend_{name}", reset_less=True)
        total = Signal.like(addend, name=f"total_{name}")
        upper = _flip_top(high)
        m.d.sync += addend.eq(Cat(*carries, _extend(low, width, low[-1]), high_carry, upper))
        m.d.comb += total.eq(addend + Cat(addend[:start], above[:width], addend[start + width],
                                          above[width:]))
        return Cat(total[start:start + width], total[start + width + 1:])


class PackedCell(MultiplyCell):
    """One multiplication makes both products: ``(w1 * 2^k + w0) * x``, k = bits + 3.

    With 10-bit operands the packed weights are exactly 18 bits, an ECP5 multiplier's. The lower
    field is ``w0 * x`` modulo 2^k. It is negative if its top bit is set and the factors' signs
    differ; the bit alone is wrong for -8 * -2^(bits - 1) = 2^(k - 1). What a negative one has
    borrowed from the upper field it gives back when the fields are put further apart and it is
    extended by its sign: one plain addition adds both.
    """

    @property
    def code_bits(self) -> int:
        return self.bits + 8

    def code(self, weights):
        """The packed weights. The copies of w0's sign are the same flip-flops once synthesised."""
        low, high = weights
        upper = (high - low[-1])[:5]    # a negative w0 takes 1 from what stands above it
        return Cat(low, low[-1].replicate(self.bits - 1), upper)

    def multiply(self, m, operand, code):
        x, bits = operand.as_signed(), 2 * self.bits + 8
        wide = Signal(signed(max(self.bits, NATIVE_BITS - self.code_bits)))
        m.d.comb += wide.eq(x)
        return [Cat((code.as_signed() * wide)[:bits], code[WEIGHT_BITS - 1] ^ x[-1])]

    def lower(self, registered: list[Value], width: int) -> Value:
        """The lower product, extended to `width` bits."""
        field, differ = registered[0][:self.bits + 3], registered[0][-1]
        return _extend(field, width, field[-1] & differ)

    def add(self, m, above, registered, width, name):
        split = self.bits + 3
        upper = _flip_top(registered[0][split:split + self.value_bits])
        addend = Signal(2 * width, name=f"addend_{name}", reset_less=True)
        m.d.sync += addend.eq(Cat(self.lower(registered, width), upper))
        return (addend + above)[:2 * width]


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
            # bits 3 and 2: 00 is 1, 01 is 3, 10 is -3, 11 is -1
            magnitude.eq(Mux(weight[3] ^ weight[2], triple, x)),
            upper.eq(Mux(weight[3], ~magnitude, magnitude)),
            # bits 1 and 0: 00 is -2, 01 is -1, 10 is 0, 11 is 1
            lower.eq(Mux(weight[1], Mux(weight[0], x, 0), Mux(weight[0], ~x, ~twice))),
            # a bit below with the carry on one side and 1 on the other makes the carry
            pair.eq(Cat(Const(1, 1), upper).as_signed()
                    + Cat(weight[3], lower[1:]).as_signed()),
        ]
        return Cat(~weight[1], lower[0], pair[1:])

    def multiply(self, m, operand, code):
        x, triple = operand[:self.bits].as_signed(), operand[self.bits:].as_signed()
        return [self._product(m, x, triple, w) for w in (code[:4], code[4:])]

    def products(self, registered):
        """The carry is the lowest bit of what is registered."""
        return [(product[1:].as_signed(), product[0]) for product in registered]


CELLS = {"multiply": MultiplyCell, "packed": PackedCell, "booth": BoothCell}


def registered(m: Module, values: list[Value], name: str) -> list[Value]:
    """`values` a cycle later; the registers are not reset."""
    after: list[Value] = [Signal(value.shape(), name=f"{name}_{i}", reset_less=True)
             for i, value in enumerate(values)]
    m.d.sync += [register.eq(value) for register, value in zip(after, values, strict=True)]
    return after


class PairSum:
    """Sums of products of a pair of columns, never negative, in one word; one carry chain adds.

    nextpnr adds two cells to each chain. The lower sum, in the lower half, has half of its range
    added; the upper one half a product's range for each product, so that this one is extended by
    zeros. For as many products as a width allows, which is a power of two, it is the same.

    Parameters
    ----------
    width: of a sum.
    """

    def __init__(self, width: int):
        self.width = width

    @property
    def bits(self) -> int:
        return 2 * self.width

    @property
    def zero(self) -> Value:
        """The word of no products."""
        return Const(1 << self.width - 1, self.bits)

    def split(self, word: Value) -> list[Value]:
        """The signed sums of a word of as many products as its width allows."""
        return [_flip_top(word[:self.width]).as_signed(),
                _flip_top(word[self.width:]).as_signed()]

    def widen(self, pair: "PairSum", word: Value) -> Value:
        """The word of the sums in a word of `pair`, which is at most a bit narrower."""
        if pair.width == self.width:
            return word
        low, high = word[:pair.width], word[pair.width:]
        return Cat(low[:-1], ~low[-1], low[-1], high, Const(0, 1))


class Product(Component):
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
        sums = PairSum(cell.value_bits)
        raw = registered(m, cell.multiply(m, operand, code), "raw")
        word = Signal(sums.bits)
        m.d.sync += word.eq(cell.add(m, sums.zero, raw, sums.width, "pair"))
        low, high = sums.split(word)
        m.d.comb += [self.product0.eq(low), self.product1.eq(high)]
        return m
