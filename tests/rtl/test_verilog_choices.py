"""Combinational processes as continuous assignments: the same hardware, in every shape."""

import pytest
from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hqdm.rtl.verilog_choices import continuous
from hqdm.rtl.verilog_text import improve
from tests.rtl.test_verilog_text import prove, written


class Choices(wiring.Component):
    """Patterns with don't-cares, defaults, nests, parts, constants, a concatenation."""

    def __init__(self):
        super().__init__({
            "select": In(3), "flag": In(1), "other": In(1), "value": In(8),
            "pattern": Out(8), "nested": Out(8), "parts": Out(8), "constant": Out(8),
            "joined": Out(8), "two": Out(1), "wide": Out(70),
        })

    def elaborate(self, platform):
        m = Module()
        with m.Switch(self.select):
            with m.Case("1-0"):
                m.d.comb += self.pattern.eq(self.value)
            with m.Case("--1"):
                m.d.comb += self.pattern.eq(~self.value)
            with m.Case(0, 2):
                m.d.comb += [self.pattern[2:5].eq(self.value), self.two.eq(1)]
            with m.Default():
                m.d.comb += self.pattern.eq(0x5A)
        with m.If(self.flag):
            m.d.comb += self.nested.eq(self.value)
            with m.If(self.other):
                m.d.comb += self.nested[0:3].eq(self.select)
            with m.Elif(self.value[0]):
                m.d.comb += self.nested[7].eq(0)
        m.d.comb += [self.parts[4:].eq(9), self.constant.eq(0xC3),
                     Cat(self.joined[4:], self.joined[:4]).eq(self.value)]
        with m.If(self.other):
            m.d.comb += [self.parts[:4].eq(self.value[2:6]), self.wide.eq(self.value << 60)]
        with m.If(self.select == 7):
            m.d.comb += self.wide[60:].eq(3)
        return m


def test_the_same_hardware(tmp_path):
    before = written(Choices())
    after = improve(before)
    assert "always @*" in before and "always" not in after
    prove(tmp_path, before, after)


def test_other_hardware_is_seen(tmp_path):
    before = written(Choices())
    after = improve(before)
    wrong = after.replace("flag && ", "other && ").replace("(flag ?", "(other ?")
    assert wrong != after
    with pytest.raises(RuntimeError, match="unproven"):
        prove(tmp_path, before, wrong)


def test_short_text():
    """What people would write: no choice between 1 and 0."""
    module = """module m(s, y);
  reg guard = 0;
  input [1:0] s;
  wire [1:0] s;
  output y;
  reg y;
  always @* begin
    if (\\guard ) begin end
    y = 1'h0;
    casez (s)
      2'h0:
          /* empty */;
      2'h1:
          y = 1'h1;
      2'h3:
          y = 1'h1;
    endcase
  end
endmodule
"""
    text = continuous(module)
    assert "assign y = (s == 2'h1 || s == 2'h3);" in text
    assert "  wire y;" in text and "always" not in text


def test_a_process_with_two_targets_is_refused():
    module = ("module m(a);\n  reg a;\n  reg b;\n  always @* begin\n    if (\\g ) begin end\n"
              "    a = 1'h0;\n    b = 1'h1;\n  end\nendmodule\n")
    with pytest.raises(AssertionError, match="one target"):
        continuous(module)
