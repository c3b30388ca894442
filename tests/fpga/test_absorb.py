"""Which flip-flops go into the registers of multipliers and memories, and which must not."""

from collections import Counter

import pytest
from amaranth import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hqdm.fpga.absorb import absorb
from hqdm.fpga.devices import DEVICES
from hqdm.fpga.synthesis import check_drivers, synthesise
from hqdm.fpga.tools import Tools
from tests.fpga.designs import design

SMALL = DEVICES["ecp5-25k"]


class Registered(wiring.Component):
    """A product and a memory, each with a register behind it.

    Parameters
    ----------
    reset: the registers have one. enable: likewise. peek: the unregistered values leave too.
    split: half of each register is enabled, the other is not.
    """

    a: In(signed(9))
    b: In(signed(9))
    enable: In(1)
    address: In(9)
    product: Out(signed(18))
    word: Out(36)
    peeked: Out(54)

    def __init__(self, *, reset=False, enable=False, peek=False, split=False):
        super().__init__()
        self.reset, self.enabled, self.peek, self.split = reset, enable, peek, split

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=36, depth=512, init=[],
                                              attrs={"no_rw_check": 1})
        write, read = memory.write_port(), memory.read_port()
        a, b = Signal(signed(9)), Signal(signed(9))
        m.d.sync += [a.eq(self.a), b.eq(self.b)]
        m.d.comb += [write.addr.eq(self.address), read.addr.eq(self.address), read.en.eq(1),
                     write.en.eq(self.enable), write.data.eq(self.product << 18 | self.product)]
        for source, out in (((a * b).as_unsigned(), self.product), (read.data, self.word)):
            register = Signal(len(out), reset_less=not self.reset, name="held")
            half = len(out) // 2
            with m.If(self.enable | (not self.enabled and not self.split)):
                m.d.sync += register.eq(source)
            if self.split:
                m.d.sync += register[:half].eq(source[:half])
            m.d.comb += out.eq(register)
        if self.peek:
            m.d.comb += self.peeked.eq(a * b | read.data)
        return m


def cells(cache, **how):
    """The netlist as the flow has it, and what its multiplier and memory became."""
    netlist = synthesise(design(Registered(**how)), SMALL, Tools(), cache=cache)
    module = netlist.module()
    check_drivers(module)
    by_type = {cell["type"]: cell for cell in module["cells"].values()}
    kinds = Counter(cell["type"] for cell in module["cells"].values())
    return kinds["TRELLIS_FF"], by_type["MULT18X18D"], by_type["DP16KD"]


@pytest.mark.parametrize("enable", [False, True])
def test_absorbed(tmp_path, enable):
    """18 + 36 flip-flops are gone; the cells have their clock and enable."""
    left, multiplier, memory = cells(tmp_path, enable=enable)
    assert left == 18       # the factors
    assert multiplier["parameters"]["REG_OUTPUT_CLK"] == "CLK0"
    assert multiplier["connections"]["CLK0"] == memory["connections"]["CLKB"]
    assert memory["parameters"]["REGMODE_A"] == memory["parameters"]["REGMODE_B"] == "OUTREG"
    enables = [multiplier["connections"]["CE0"], memory["connections"]["OCEA"],
               memory["connections"]["OCEB"]]
    assert all((net == ["1"]) != enable for net in enables) and enables.count(enables[0]) == 3


@pytest.mark.parametrize("how", [{"reset": True}, {"peek": True}, {"split": True}],
                         ids=lambda how: next(iter(how)))
def test_left_alone(tmp_path, how):
    """A reset, another reader, or two enables: the flip-flops stay."""
    left, multiplier, memory = cells(tmp_path, **how)
    assert left >= 18 + 18 + 36
    assert "REG_OUTPUT_CLK" not in multiplier["parameters"]
    assert memory["parameters"]["REGMODE_A"] == memory["parameters"]["REGMODE_B"] == "NOREG"


def test_readers_of_the_register_read_the_cell(tmp_path):
    """The ports of the module are driven by multiplier and memory, bit by bit."""
    netlist = synthesise(design(Registered()), SMALL, Tools(), cache=tmp_path)
    module = netlist.module()
    driver = {bit: (cell["type"], port) for cell in module["cells"].values()
              for port, bits in cell["connections"].items()
              if cell["port_directions"].get(port) == "output" for bit in bits}
    found = [driver[bit] for bit in module["ports"]["product"]["bits"]]
    assert found == [("MULT18X18D", f"P{i}") for i in range(18)]
    assert {driver[bit][0] for bit in module["ports"]["word"]["bits"]} == {"DP16KD"}


def test_nothing_is_absorbed_twice(tmp_path):
    module = synthesise(design(Registered()), SMALL, Tools(), cache=tmp_path).module()
    assert absorb(module) == {"MULT18X18D": 0, "DP16KD": 0}
