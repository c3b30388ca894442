"""Small designs that Yosys and nextpnr build in a second or two each."""

from amaranth import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hqdm.fpga.synthesis import Design
from hqdm.rtl.generate import to_verilog


class Counter(wiring.Component):
    """Counts to 2^16; 16 flip-flops and eight carry cells."""

    count: Out(16)

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.count.eq(self.count + 1)
        return m


class Product(wiring.Component):
    """9 x 9 product between registers: one multiplier."""

    a: In(signed(9))
    b: In(signed(9))
    o: Out(signed(18))

    def elaborate(self, platform):
        m = Module()
        a, b = Signal(signed(9)), Signal(signed(9))
        m.d.sync += [a.eq(self.a), b.eq(self.b), self.o.eq(a * b)]
        return m


class Pair(wiring.Component):
    """A counter, its upper bits times its lower."""

    o: Out(signed(18))

    def elaborate(self, platform):
        m = Module()
        m.submodules.counter = counter = Counter()
        m.submodules.product = product = Product()
        m.d.comb += [product.a.eq(counter.count[:9]), product.b.eq(counter.count[7:]),
                     self.o.eq(product.o)]
        return m


class Products(wiring.Component):
    """As many products as an ecp5-25k does not have multipliers for."""

    a: In(signed(9))
    o: Out(signed(18))

    def elaborate(self, platform):
        m = Module()
        total = 0
        for index in range(29):
            m.submodules[f"product{index}"] = product = Product()
            m.d.comb += [product.a.eq(self.a), product.b.eq(self.a ^ index)]
            total = total ^ product.o
        m.d.sync += self.o.eq(total)
        return m


def design(component) -> Design:
    """`component` as the command gets a core."""
    name = type(component).__name__.lower()
    return Design(name, to_verilog(component, name), name)
