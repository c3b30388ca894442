"""The streaming Hadamard against golden.load.rotate."""

import random

import pytest

from rtl.load.hadamard import CHANNEL, WIDTH, Hadamard, latency
from sim.load_case import AXES_AND_ORDERS, Stream, block_beats, rotated, rotation_stream
from spec.fixed import MAX_ORDER

LANES = (2, 4, 8)


@pytest.mark.parametrize("gaps", [0.0, 0.3])
@pytest.mark.parametrize("bits", [16, 4])
@pytest.mark.parametrize("lanes", LANES)
def test_every_axis_and_order_one_after_the_other(pipeline, lanes, bits, gaps):
    """Streams of different axis and order follow each other without a reset in between."""
    seed = lanes + bits
    rng = random.Random(seed)
    dut = Hadamard(lanes, bits, bits + MAX_ORDER)
    streams, want = [], []
    for axis, order in rng.sample(AXES_AND_ORDERS, len(AXES_AND_ORDERS)):
        stream = rotation_stream(axis, order, lanes, bits, rng)
        streams.append((stream, dut.latency(axis, order)))
        want += stream.expected
    outputs, _ = pipeline(dut, gaps, seed).run(streams)
    assert outputs == want


@pytest.mark.parametrize("lanes", [2, 8])
@pytest.mark.parametrize(("axis", "order"), AXES_AND_ORDERS)
def test_one_beat_per_cycle_at_the_stated_latency(pipeline, lanes, axis, order):
    """Without gaps N beats enter in N cycles and leave in N consecutive cycles."""
    rng = random.Random(order)
    dut = Hadamard(lanes, 16, 22)
    first = dut.latency(axis, order)
    count = 2 * block_beats(axis, order, lanes)
    rows = [[rng.randrange(-9, 9) for _ in range(lanes)] for _ in range(count)]
    stream = Stream({"axis": axis, "order": order}, [(0, row) for row in rows],
                    [(0, row) for row in rotated(rows, axis, order)])
    outputs, arrivals = pipeline(dut).run([(stream, first)])
    assert arrivals == list(range(first, first + count))
    assert outputs == stream.expected


@pytest.mark.parametrize(("axis", "order"), [(CHANNEL, 6), (WIDTH, 4)])
def test_streams_with_short_pauses_between_them(pipeline, axis, order):
    """Invalid beats between blocks, fewer than the latency, pass through the pipeline."""
    print("seed", order)
    rng = random.Random(order)
    dut = Hadamard(2, 16, 22)
    streams, want = [], []
    for pause in (0, 1, 3, 7, 20, dut.latency(axis, order)):
        stream = rotation_stream(axis, order, 2, 16, rng)
        streams.append((stream, pause))
        want += stream.expected
    outputs, _ = pipeline(dut, 0.2, order).run(streams)
    assert outputs == want


def test_latency_is_that_of_the_enabled_delays():
    assert latency(8, CHANNEL, 0) == latency(8, WIDTH, 0) == latency(8, CHANNEL, 3) == 10
    assert latency(8, CHANNEL, 5) == 10 + 1 + 2
    assert latency(8, WIDTH, 5) == 10 + 2 + 4 + 8 + 16 + 32
