"""The changed Verilog is the hardware that Yosys wrote: proved by Yosys for every kind."""

import re

import pytest
from amaranth import *
from amaranth.back import verilog
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hqdm.fpga.tools import YOSYS, Tools
from hqdm.rtl.bus.registers import RegisterBank
from hqdm.rtl.control.controller import Controller
from hqdm.rtl.load.requests import LoadRequests
from hqdm.rtl.multiply.sequencer import Sequencer
from hqdm.rtl.verilog_text import improve
from hqdm.spec.config import PRESETS

PROOF = """
read_verilog -sv before.v; hierarchy -top top; proc; flatten; opt_clean; memory_map
rename top gold; design -stash gold
read_verilog -sv after.v; hierarchy -top top; proc; flatten; opt_clean; memory_map
rename top gate; design -stash gate
design -copy-from gold -as gold gold; design -copy-from gate -as gate gate
equiv_make gold gate equal; hierarchy -top equal; opt_clean
equiv_simple -undef; equiv_induct -undef; equiv_status -assert
"""


class EveryKind(wiring.Component):
    """Registers that hold, that follow, with a switch, in parts, with a next value that is read."""

    def __init__(self):
        super().__init__({
            "enable": In(1), "clear": In(1), "select": In(2), "value": In(signed(8)),
            "held": Out(8), "followed": Out(8), "chosen": Out(8), "parts": Out(8),
            "ahead": Out(8), "swapped": Out(8), "wide": Out(32),
        })

    def elaborate(self, platform):
        m = Module()
        following, low, high = Signal(8), Signal(4), Signal(4)
        with m.If(self.enable):
            m.d.sync += [self.held.eq(self.value), self.parts[2:6].eq(self.value)]
            with m.If(self.select == 2):
                m.d.sync += self.parts[0].eq(self.value[7])
            with m.Elif(self.select == 1):
                m.d.sync += self.parts[7].eq(self.value[0])
            m.d.comb += following.eq(self.value)
        with m.Else():
            m.d.comb += following.eq(self.ahead)
        m.d.sync += [self.followed.eq(self.value), self.wide.eq(self.value)]
        with m.If(self.clear):
            m.d.sync += [self.followed.eq(0), self.held.eq(0), self.wide[8:].eq(0)]
        with m.Switch(self.select):
            with m.Case(0):
                m.d.sync += self.chosen.eq(self.value)
            with m.Case(1, 3):
                m.d.sync += self.chosen.eq(self.chosen + 1)
            with m.Default():
                with m.If(self.clear):
                    m.d.sync += self.chosen.eq(self.held)
        m.d.sync += [self.ahead.eq(following), Cat(high, low).eq(self.value)]
        m.d.comb += self.swapped.eq(Cat(low, high) ^ following)
        return m


def written(component):
    return verilog.convert(component, name="top", emit_src=False, strip_internal_attrs=True)


def prove(folder, before, after):
    (folder / "before.v").write_text(before)
    (folder / "after.v").write_text(after)
    (folder / "proof.ys").write_text(PROOF)
    Tools().run(YOSYS, ["-q", "proof.ys"], folder)


CONFIG = PRESETS["n4"]
COMPONENTS = {
    "every kind": EveryKind, "registers": RegisterBank,
    "controller": lambda: Controller(CONFIG), "requests": lambda: LoadRequests(CONFIG),
    "sequencer": lambda: Sequencer(CONFIG),
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_the_same_hardware(tmp_path, name):
    before = written(COMPONENTS[name]())
    after = improve(before)
    assert len(after) < len(before)
    assert after.count("always @*") < before.count("always @*")
    prove(tmp_path, before, after)


@pytest.mark.parametrize(("pattern", "wrong"), [
    (r"if \(enable\) held <= value", r"held <= value"),
    (r"if \(clear\) followed <= 8'h00", r"if (clear) followed <= 8'h01"),
    (r"followed <= value;\n", ""),
])
def test_other_hardware_is_seen(tmp_path, pattern, wrong):
    before = written(EveryKind())
    after, changed = re.subn(pattern, wrong, improve(before))
    assert changed == 1
    with pytest.raises(RuntimeError, match="unproven"):
        prove(tmp_path, before, after)


def test_repeated_parts_are_replicated():
    text = "assign x = { a[3], a[3], a[3], a, 1'h0, 1'h0 };\n"
    assert improve(text) == "assign x = { {3{a[3]}}, a, {2{1'h0}} };\n"
