"""The cocotb testbench on the copy core: data under pauses, and every injected error."""

import os
import random

import cocotb
import pytest

from hqdm.rtl.generate import to_verilog
from hqdm.sim.runner import run_verilog
from hqdm.sim.testbench import AxiResp, Testbench, Traffic
from sim.tests.copy_core import (
    BEATS,
    BURSTS,
    CONTROL,
    LOAD,
    OUTPUT,
    SECOND,
    STATUS,
    TOP,
    WEIGHT,
    CopyCore,
)

SIZE = 1 << 16
PLACES = {LOAD: 0x1000, WEIGHT: 0x3000, SECOND: 0x5000, OUTPUT: 0x7000}
DONE, FAULT = 2, 6
LENGTH = 4 * 8 * 4


async def copy(bench):
    """Run a copy of LENGTH bytes; returns (data as expected, status)."""
    memory = bench.memory.bytes
    memory[:] = random.Random(cocotb.RANDOM_SEED).randbytes(SIZE)
    parts = [memory[PLACES[p]:PLACES[p] + LENGTH] for p in (LOAD, WEIGHT, SECOND)]
    for address, value in (PLACES | {BURSTS: 4, BEATS: 8, CONTROL: 1}).items():
        await bench.write(address, value)
    await bench.wait(5000)
    wanted = bytes(a ^ b ^ c for a, b, c in zip(*parts, strict=True))
    output = memory[PLACES[OUTPUT]:PLACES[OUTPUT] + LENGTH]
    return output == wanted, await bench.read(STATUS)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def copies(dut):
    traffic = Traffic(pause=float(os.environ["PAUSE"]), latency=20, seed=cocotb.RANDOM_SEED)
    bench = Testbench(dut, SIZE, traffic)
    await bench.reset()
    assert await copy(bench) == (True, DONE)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def errors(dut):
    bench = Testbench(dut, SIZE)
    await bench.reset()
    for response in (AxiResp.SLVERR, AxiResp.DECERR):
        for port, direction, place in (("load", "read", LOAD), ("weight", "read", WEIGHT),
                                       ("store", "read", SECOND), ("store", "write", OUTPUT)):
            bench.inject(port, direction, PLACES[place] + 20, PLACES[place] + 21, response)
            assert await copy(bench) == (False, FAULT)
            bench.memory.errors.clear()
            assert await copy(bench) == (True, DONE)


@pytest.mark.parametrize("pause", [0.0, 0.4])
def test_copies(pause):
    run_verilog(to_verilog(CopyCore(), TOP), TOP, __name__, testcase="copies",
                parameters={"PAUSE": str(pause)})


def test_errors():
    run_verilog(to_verilog(CopyCore(), TOP), TOP, __name__, testcase="errors")
