"""The streaming Hadamard under Verilator: both axes, every order, one beat per cycle."""

import os
import random

import cocotb
import pytest

from hqdm.rtl.load.hadamard import Hadamard
from hqdm.sim.beats import BeatDriver
from hqdm.sim.load_case import AXES_AND_ORDERS, rotation_stream
from hqdm.sim.runner import run_block
from hqdm.sim.streams import start
from hqdm.spec import PRESETS
from hqdm.spec.fixed import CARRIER_BITS, NIBBLE
from hqdm.spec.stages import rotation_latency


def build(name: str, transform: str) -> Hadamard:
    """One of both transforms of a preset."""
    config = PRESETS[name]
    if transform == "forward":
        return Hadamard(config.lanes, CARRIER_BITS, inverse=False)
    return Hadamard(config.lanes, NIBBLE, inverse=True, output_bits=config.operand_bits)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def equals_golden(dut):
    """Streams of every axis and order, in random order, without a reset in between."""
    rng = random.Random(cocotb.RANDOM_SEED)
    lanes, bits, gap = int(os.environ["LANES"]), int(os.environ["BITS"]), float(os.environ["GAP"])
    driver = BeatDriver(dut, lanes, rng, gap)
    await start(dut, advance=0, i__valid=0, axis=0, order=0)
    for axis, order in rng.sample(AXES_AND_ORDERS, len(AXES_AND_ORDERS)):
        inverse = os.environ["TRANSFORM"] == "inverse"
        stream = rotation_stream(axis, order, lanes, bits, rng, inverse)
        first = rotation_latency(lanes, axis, order)
        dut.axis.value, dut.order.value = axis, order
        driver.outputs, driver.arrivals, driver.advances = [], [], 0
        await driver.send(stream.beats, flush=first)
        assert driver.outputs == stream.expected
        assert driver.arrivals == list(range(first, first + len(stream.beats)))


@pytest.mark.parametrize("gap", [0.0, 0.3])
@pytest.mark.parametrize(("name", "transform"), [("n16", "forward"), ("n4", "inverse")])
def test_hadamard(name, transform, gap):
    dut = build(name, transform)
    bits = len(dut.i.data[0])
    run_block(dut, f"hadamard_{transform}_{name}", __name__, seed=5, parameters={
        "LANES": str(dut.lanes), "BITS": str(bits), "GAP": str(gap), "TRANSFORM": transform})
