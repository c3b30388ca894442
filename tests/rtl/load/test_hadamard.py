"""The streaming Hadamard against hqdm.golden.load.rotate."""

import random

import pytest

from hqdm.rtl.load.hadamard import CHANNEL, WIDTH, Hadamard, exchanged, stage_bits
from hqdm.sim.load_case import (
    AXES_AND_ORDERS,
    Stream,
    block_beats,
    exchange,
    rotated,
    rotation_stream,
)
from hqdm.spec.fixed import MAX_ORDER
from hqdm.spec.stages import rotation_latency

LANES = (2, 4, 8)


@pytest.mark.parametrize("gaps", [0.0, 0.3])
@pytest.mark.parametrize(("bits", "inverse"), [(16, False), (4, True), (4, False)])
@pytest.mark.parametrize("lanes", LANES)
def test_every_axis_and_order_one_after_the_other(pipeline, lanes, bits, inverse, gaps):
    """Streams of different axis and order follow each other without a reset in between."""
    seed = lanes + bits
    rng = random.Random(seed)
    output_bits = bits + MAX_ORDER if inverse else None
    dut = Hadamard(lanes, bits, inverse=inverse, output_bits=output_bits)
    streams, want = [], []
    for axis, order in rng.sample(AXES_AND_ORDERS, len(AXES_AND_ORDERS)):
        stream = rotation_stream(axis, order, lanes, bits, rng, inverse)
        streams.append((stream, dut.latency(axis, order)))
        want += stream.expected
    outputs, _ = pipeline(dut, gaps, seed).run(streams)
    assert outputs == want


@pytest.mark.parametrize("lanes", [2, 8])
@pytest.mark.parametrize(("axis", "order"), AXES_AND_ORDERS)
def test_one_beat_per_cycle_at_the_stated_latency(pipeline, lanes, axis, order):
    """Without gaps N beats enter in N cycles and leave in N consecutive cycles."""
    rng = random.Random(order)
    dut = Hadamard(lanes, 16, inverse=False)
    first = dut.latency(axis, order)
    count = 2 * block_beats(axis, order, lanes)
    rows = [[rng.randrange(-9, 9) for _ in range(lanes)] for _ in range(count)]
    stream = Stream({"axis": axis, "order": order}, [(0, row) for row in rows],
                    exchange([(0, row) for row in rotated(rows, axis, order)], axis, order))
    outputs, arrivals = pipeline(dut).run([(stream, first)])
    assert arrivals == list(range(first, first + count))
    assert outputs == stream.expected


@pytest.mark.parametrize(("axis", "order"), [(CHANNEL, 6), (WIDTH, 4)])
def test_streams_with_short_pauses_between_them(pipeline, axis, order):
    """Invalid beats between blocks, fewer than the latency, pass through the pipeline."""
    print("seed", order)
    rng = random.Random(order)
    dut = Hadamard(2, 16, inverse=False)
    streams, want = [], []
    for pause in (0, 1, 3, 7, 20, dut.latency(axis, order)):
        stream = rotation_stream(axis, order, 2, 16, rng)
        streams.append((stream, pause))
        want += stream.expected
    outputs, _ = pipeline(dut, 0.2, order).run(streams)
    assert outputs == want


def test_latency_is_that_of_the_enabled_delays():
    for axis, order in ((CHANNEL, 0), (WIDTH, 0), (CHANNEL, 3)):
        assert rotation_latency(8, axis, order) == 11
    assert rotation_latency(8, CHANNEL, 5) == 11 + 1 + 2
    assert rotation_latency(8, WIDTH, 5) == 11 + 2 + 4 + 8 + 16 + 32


@pytest.mark.parametrize("lanes", [2, 4, 8])
@pytest.mark.parametrize(("axis", "order"), AXES_AND_ORDERS)
def test_the_most_negative_numbers_fit_though_negated(pipeline, lanes, axis, order):
    """-2**15 throughout: sums of -2**(15 + order), positive where stages have negated them."""
    dut = Hadamard(lanes, 16, inverse=False)
    rows = [[-1 << 15] * lanes for _ in range(block_beats(axis, order, lanes))]
    outputs, _ = pipeline(dut).run([
        (Stream({"axis": axis, "order": order}, [(0, row) for row in rows], []),
         dut.latency(axis, order))])
    found = {x for _, row in outputs for x in row if x}
    assert found == {-1 << 15 + order}


def test_order_of_what_comes_out():
    assert exchanged(4, WIDTH, 3) == 2 + 4 + 8
    assert exchanged(4, CHANNEL, 4) == 1 + 2
    assert exchanged(4, CHANNEL, 2) == 0


def test_widths_grow_only_as_far_as_six_stages_make_them():
    front, lines, end = stage_bits(4, 16)
    assert front == [16, 17, 18, 19, 20, 21, 22, 22, 22]
    assert lines == [17, 18, 19, 20, 21, 22, 21] and end == 22
    assert stage_bits(8, 16)[2] == 22
