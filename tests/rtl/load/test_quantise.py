"""The quantiser against golden.load.quantise and split_nibbles."""

import random

import pytest
import torch

from golden.load import quantise, split_nibbles
from rtl.load.quantise import Quantiser
from spec.config import config_by_name
from spec.fixed import MAX_SHIFT, symmetric_max

LANES = 2


def expected(values: list[list[int]], multiplier: int, shift: int, limit: int, nibble: int):
    q = quantise(torch.tensor(values, dtype=torch.int64), multiplier, shift, limit)
    return (split_nibbles(q)[nibble] if limit > 7 else q).tolist()


def check(pipeline, cases, bits, seed, gaps=0.0):
    """Run (multiplier, shift, values) cases at `bits` activation bits; compare every nibble."""
    limit = symmetric_max(bits)
    streams, want = [], []
    for multiplier, shift, values in cases:
        rows = [values[i:i + LANES] for i in range(0, len(values), LANES)]
        settings = {"multiplier": multiplier, "shift": shift, "limit": limit}
        for nibble in range(2 if bits == 8 else 1):
            streams.append((settings, [(nibble, row) for row in rows], Quantiser.latency))
            want += [(nibble, row) for row in expected(rows, multiplier, shift, limit, nibble)]
    dut = Quantiser(LANES, config_by_name("n4").rotation_bits)
    outputs, _ = pipeline(dut, gaps, seed).run(streams)
    assert outputs == want


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_ties_and_saturation(pipeline, bits):
    """Every quarter of a step across the whole range and beyond it, both signs."""
    span = 4 * symmetric_max(bits) + 12
    check(pipeline, [(1, 2, list(range(-span, span)))], bits, seed=0)


@pytest.mark.parametrize("bits", [4, 8])
def test_every_shift_with_random_multipliers(pipeline, bits):
    rng = random.Random(bits)
    cases = []
    for shift in range(1, MAX_SHIFT + 1):
        multiplier = rng.choice((1, 1 << 15, (1 << 16) - 1, rng.randrange(1, 1 << 16)))
        step = max(1, (1 << shift) // multiplier)       # about one quantised level
        near = [max(-(1 << 21), min((1 << 21) - 1, rng.randrange(-9, 9) * step + d))
                for d in (-1, 0, 1, step // 2)]
        cases.append((multiplier, shift, [-(1 << 21), (1 << 21) - 1, *near]))
    check(pipeline, cases, bits, seed=bits, gaps=0.2)


def test_throughput_and_latency(pipeline):
    dut = Quantiser(LANES, 22)
    settings = {"multiplier": 1, "shift": 1, "limit": 7}
    beats = [(0, [t, -t]) for t in range(20)]
    _, arrivals = pipeline(dut).run([(settings, beats, dut.latency)])
    assert arrivals == list(range(dut.latency, dut.latency + 20))
