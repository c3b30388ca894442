"""The quantiser under Verilator: every shift, ties, saturation, both nibbles."""

import os
import random

import cocotb
import pytest

from hqdm.rtl.load.quantise import Quantiser
from hqdm.sim.beats import BeatDriver
from hqdm.sim.load_case import near_a_level, quantised_streams
from hqdm.sim.runner import run_block
from hqdm.sim.streams import start
from hqdm.spec import PRESETS
from hqdm.spec.fixed import BITS, MAX_SHIFT, MULTIPLIER_BITS, NIBBLE

CONFIG = PRESETS["n16"]
MULTIPLIERS = (1, 1 << (MULTIPLIER_BITS - 1), (1 << MULTIPLIER_BITS) - 1)


@cocotb.test(timeout_time=1, timeout_unit="ms")
async def equals_golden(dut):
    """Values about levels and ties of every scale, at every width, symmetric and free bounds."""
    rng = random.Random(cocotb.RANDOM_SEED)
    driver = BeatDriver(dut, CONFIG.lanes, rng, float(os.environ["GAP"]))
    await start(dut, advance=0, i__valid=0)
    for bits in BITS:
        for shift in range(1, MAX_SHIFT + 1):
            multiplier = rng.choice((*MULTIPLIERS, rng.randrange(1, 1 << MULTIPLIER_BITS)))
            values = near_a_level(multiplier, shift, CONFIG.rotation_bits, 3 * CONFIG.lanes, rng)
            bounds = None
            if bits <= NIBBLE and rng.random() < 0.5:
                below = rng.choice((0, rng.randrange(1 << bits), (1 << bits) - 1))
                bounds = (-below, (1 << bits) - 1 - below)
            for stream in quantised_streams(multiplier, shift, bits, values, CONFIG.lanes, bounds):
                for name, value in stream.settings.items():
                    getattr(dut, name).value = value
                driver.outputs = []
                await driver.send(stream.beats, flush=Quantiser.latency)
                assert driver.outputs == stream.expected


@pytest.mark.parametrize("gap", [0.0, 0.3])
def test_quantiser(gap):
    run_block(Quantiser(CONFIG.lanes, CONFIG.rotation_bits), "quantiser", __name__, seed=6,
              parameters={"GAP": str(gap)})
