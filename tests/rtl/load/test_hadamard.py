"""The streaming Hadamard against golden.load.rotate."""

import random

import pytest
import torch

from golden.load import rotate
from rtl.load.hadamard import CHANNEL, WIDTH, Hadamard, latency
from spec.fixed import MAX_ORDER

LANES = (2, 4, 8)
CASES = [(axis, order) for axis in (CHANNEL, WIDTH) for order in range(MAX_ORDER + 1)]


def expected(beats: torch.Tensor, axis: int, order: int) -> list[list[int]]:
    """Transform (T, lanes) along the channels (lanes, then time) or the width (beats 2 apart)."""
    if axis == CHANNEL:
        out = rotate(beats.flatten(), order, 0)         # (T, lanes) -> (T * lanes)
    else:
        out = rotate(beats.unflatten(0, (-1, 2)), order, 0)     # (T, lanes) -> (T / 2, 2, lanes)
    return out.reshape(beats.shape).tolist()


def block_beats(axis: int, order: int, lanes: int) -> int:
    """Beats of the smallest stream: whole blocks and whole channel words."""
    return 2 << order if axis == WIDTH else max(2, (1 << order) // lanes)


def random_stream(axis: int, order: int, lanes: int, bits: int, rng: random.Random):
    """A few blocks of random numbers and extremes, whose nibble tags change between blocks."""
    block = block_beats(axis, order, lanes)
    blocks = rng.randint(1, max(2, 24 // block))
    top = 1 << (bits - 1)
    data = [[rng.choice((-top, top - 1, rng.randrange(-top, top))) for _ in range(lanes)]
            for _ in range(block * blocks)]
    if rng.random() < 0.3:
        data[:block] = [[-top] * lanes] * block
    tags = [rng.getrandbits(1) for _ in range(blocks)]
    beats = [(tags[t // block], row) for t, row in enumerate(data)]
    want = expected(torch.tensor(data, dtype=torch.int64), axis, order)
    return beats, [(tag, row) for (tag, _), row in zip(beats, want, strict=True)]


@pytest.mark.parametrize("gaps", [0.0, 0.3])
@pytest.mark.parametrize("bits", [16, 4])
@pytest.mark.parametrize("lanes", LANES)
def test_every_axis_and_order_one_after_the_other(pipeline, lanes, bits, gaps):
    """Streams of different axis and order follow each other without a reset in between."""
    seed = lanes + bits
    rng = random.Random(seed)
    dut = Hadamard(lanes, bits, bits + MAX_ORDER)
    streams, want = [], []
    for axis, order in rng.sample(CASES, len(CASES)):
        beats, results = random_stream(axis, order, lanes, bits, rng)
        streams.append(({"axis": axis, "order": order}, beats, dut.latency(axis, order)))
        want += results
    outputs, _ = pipeline(dut, gaps, seed).run(streams)
    assert outputs == want


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize(("axis", "order"), CASES)
def test_one_beat_per_cycle_at_the_stated_latency(pipeline, lanes, axis, order):
    """Without gaps N beats enter in N cycles and leave in N consecutive cycles."""
    rng = random.Random(order)
    dut = Hadamard(lanes, 16, 22)
    first = dut.latency(axis, order)
    count = 2 * block_beats(axis, order, lanes)
    data = [[rng.randrange(-9, 9) for _ in range(lanes)] for _ in range(count)]
    outputs, arrivals = pipeline(dut).run(
        [({"axis": axis, "order": order}, [(0, row) for row in data], first)])
    assert arrivals == list(range(first, first + count))
    assert [row for _, row in outputs] == expected(torch.tensor(data), axis, order)


@pytest.mark.parametrize(("axis", "order"), [(CHANNEL, 6), (WIDTH, 4)])
def test_streams_with_short_pauses_between_them(pipeline, axis, order):
    """Invalid beats between blocks, fewer than the latency, pass through the pipeline."""
    print("seed", order)
    rng = random.Random(order)
    dut = Hadamard(2, 16, 22)
    streams, want = [], []
    for pause in (0, 1, 3, 7, 20, dut.latency(axis, order)):
        beats, results = random_stream(axis, order, 2, 16, rng)
        streams.append(({"axis": axis, "order": order}, beats, pause))
        want += results
    outputs, _ = pipeline(dut, 0.2, order).run(streams)
    assert outputs == want


def test_latency_is_that_of_the_enabled_delays():
    assert latency(8, CHANNEL, 0) == latency(8, WIDTH, 0) == latency(8, CHANNEL, 3) == 10
    assert latency(8, CHANNEL, 5) == 10 + 1 + 2
    assert latency(8, WIDTH, 5) == 10 + 2 + 4 + 8 + 16 + 32
