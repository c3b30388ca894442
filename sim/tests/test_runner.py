"""The cocotb runner itself, and the pattern every block test follows."""

import os
import random
from typing import Any

import cocotb
import pytest
from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out
from cocotb.triggers import Timer
from cocotb.utils import get_sim_time
from cocotb_tools.config import libs_dir

from hqdm.kit.cache import seal
from hqdm.sim.runner import run_block
from hqdm.sim.streams import PERIOD_NS, receive, send, start


class Queue(wiring.Component):
    """A FIFO of four 16-bit words."""

    i: In(stream.Signature(unsigned(16)))
    o: Out(stream.Signature(unsigned(16)))

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=16, depth=4)
        wiring.connect(m, wiring.flipped(self.i), fifo.w_stream)
        wiring.connect(m, fifo.r_stream, wiring.flipped(self.o))
        return m


class Constant(wiring.Component):
    """`o`: 2 in the high byte, which nothing else drives, and `x` or 0 in the low one."""

    s: In(1)
    x: In(8)
    o: Out(16)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o[8:].eq(2)
        with m.If(self.s):
            m.d.comb += self.o[:8].eq(self.x)
        return m


@cocotb.test(timeout_time=100, timeout_unit="us")
async def keeps_order(dut):
    generator = random.Random(cocotb.RANDOM_SEED)
    gap = float(os.environ["GAP"])
    await start(dut, i__valid=0, o__ready=0)
    data = [generator.getrandbits(16) for _ in range(200)]
    cocotb.start_soon(send(dut, "i", data, generator, gap))
    begin = get_sim_time("ns")
    assert await receive(dut, "o", len(data), generator, gap) == data
    cycles = (get_sim_time("ns") - begin) / PERIOD_NS
    if not gap:
        assert cycles <= len(data) + 3


@cocotb.test(timeout_time=1, timeout_unit="us")
async def constant_part(dut):
    dut.s.value, dut.x.value = 1, 0x34
    await Timer(1, unit="ns")
    assert int(dut.o.value) == 0x0234


@pytest.mark.parametrize("gap", [0.0, 0.5])
def test_fifo(gap):
    run_block(Queue(), "fifo", __name__, seed=3, testcase="keeps_order",
              parameters={"GAP": str(gap)})


def test_build_outlives_the_environment_that_made_it(tmp_path):
    """A build kept in the user's cache runs after the clone that built it was deleted."""
    options: dict[str, Any] = {"seed": 3, "testcase": "keeps_order", "parameters": {"GAP": "0.0"},
               "cache": tmp_path}
    run_block(Queue(), "fifo", __name__, **options)
    program, = tmp_path.glob("cocotb-fifo-*/fifo")
    here = os.fsencode(libs_dir)
    content = program.read_bytes()
    assert here in content
    program.write_bytes(content.replace(here, b"/" + b"x" * (len(here) - 1)))
    seal(program.parent)
    run_block(Queue(), "fifo", __name__, **options)


def test_failure_is_reported():
    with pytest.raises(AssertionError, match="keeps_order"):
        run_block(Queue(), "fifo", __name__, testcase="keeps_order",
                  parameters={"GAP": "no number"})


def test_constant_part_of_a_signal():
    run_block(Constant(), "constant", __name__, testcase="constant_part")
