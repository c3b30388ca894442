"""The quantiser against hqdm.golden.load.quantise and split_nibbles."""

import random

import pytest

from hqdm.rtl.load.quantise import Quantiser
from hqdm.sim.load_case import Stream, near_a_level, quantised_streams
from hqdm.spec.config import config_by_name
from hqdm.spec.fixed import MAX_SHIFT, symmetric_max

LANES = 2
BITS = config_by_name("n4").rotation_bits


def check(pipeline, streams, seed, gaps=0.0):
    dut = Quantiser(LANES, BITS)
    outputs, _ = pipeline(dut, gaps, seed).run((stream, dut.latency) for stream in streams)
    assert outputs == [beat for stream in streams for beat in stream.expected]


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_ties_and_saturation(pipeline, bits):
    """Every quarter of a step across the whole range and beyond it, both signs."""
    span = 4 * symmetric_max(bits) + 12
    check(pipeline, quantised_streams(1, 2, bits, range(-span, span), LANES), seed=0)


@pytest.mark.parametrize("bounds", [
    (0, 15), (-15, 0), (-1, 14), (-8, 7), (-7, 8), (-3, 0), (0, 1), (0, 0)])
def test_bounds(pipeline, bounds):
    """Every level and tie about both bounds, and far beyond: what comes out has five bits."""
    values = [*range(-90, 90), *range(-300, 300, 7), *(v << 12 for v in range(-60, 60))]
    check(pipeline, quantised_streams(1, 2, 4, values, LANES, bounds), seed=1)


@pytest.mark.parametrize("bits", [4, 8])
def test_every_shift_with_random_multipliers(pipeline, bits):
    rng = random.Random(bits)
    streams = []
    for shift in range(1, MAX_SHIFT + 1):
        multiplier = rng.choice((1, 1 << 15, (1 << 16) - 1, rng.randrange(1, 1 << 16)))
        values = near_a_level(multiplier, shift, BITS, 6, rng)
        streams += quantised_streams(multiplier, shift, bits, values, LANES)
    check(pipeline, streams, seed=bits, gaps=0.2)


def test_throughput_and_latency(pipeline):
    dut = Quantiser(LANES, BITS)
    settings = {"multiplier": 1, "shift": 1, "low": 7, "high": 7, "split": 0}
    stream = Stream(settings, [(0, [t, -t]) for t in range(20)], [])
    _, arrivals = pipeline(dut).run([(stream, dut.latency)])
    assert arrivals == list(range(dut.latency, dut.latency + 20))
