"""rtl.rounding against golden.rounding, exhaustively where small and at every shift where wide."""

import pytest
import torch
from amaranth import *
from amaranth.sim import Simulator

from golden import rounding as golden
from rtl.rounding import clamp, rhe, saturate
from spec.fixed import MAX_SHIFT


def evaluate(build, width, pairs, shift_bits=6):
    """build(m, value, shift) -> Value, evaluated for every (value, shift) pair."""
    m = Module()
    value, shift = Signal(signed(width)), Signal(shift_bits)
    out = Signal(signed(64))
    m.d.comb += out.eq(build(m, value, shift))
    results = []

    async def bench(ctx):
        for v, s in pairs:
            ctx.set(value, v)
            ctx.set(shift, s)
            results.append(ctx.get(out))

    sim = Simulator(m)
    sim.add_testbench(bench)
    sim.run()
    return results


def golden_rhe(pairs):
    values, shifts = (torch.tensor(t, dtype=torch.int64) for t in zip(*pairs, strict=True))
    return golden.rhe(values, shifts).tolist()


def test_every_value_of_a_narrow_number():
    pairs = [(v, s) for s in (*range(10), MAX_SHIFT) for v in range(-64, 64)]
    assert evaluate(rhe, 7, pairs) == golden_rhe(pairs)


@pytest.mark.parametrize("width", [24, 40, 48])
def test_every_shift_of_a_wide_number(width):
    """Extremes, ties and their neighbours, and random values, at every legal shift."""
    print("seed", width)
    generator = torch.Generator().manual_seed(width)
    top = 1 << (width - 1)
    random = torch.randint(-top, top, (4,), generator=generator).tolist()
    pairs = []
    for s in range(MAX_SHIFT + 1):
        ties = [(k << s) + ((1 << s) >> 1) + d for k in (-3, -2, -1, 0, 1, 2) for d in (-1, 0, 1)]
        pairs += [(v, s) for v in (-top, top - 1, *ties, *random) if -top <= v < top]
    assert evaluate(rhe, width, pairs) == golden_rhe(pairs)


def test_constant_shift():
    pairs = [(v, 0) for v in range(-128, 128)]
    want = golden_rhe([(v, 3) for v, _ in pairs])
    assert evaluate(lambda m, v, _: rhe(m, v, 3), 8, pairs) == want


@pytest.mark.parametrize("bits", [1, 4, 7, 8])
def test_saturate(bits):
    pairs = [(v, 0) for v in range(-128, 128)]
    want = golden.saturate(torch.arange(-128, 128), bits).tolist()
    assert evaluate(lambda m, v, _: saturate(v, bits), 8, pairs) == want


@pytest.mark.parametrize(("low", "high"), [
    (-1, 1), (-7, 7), (-119, 119), (0, 15), (-15, 0), (-6, 9), (0, 0)])
def test_clamp(low, high):
    pairs = [(v, high) for v in range(-512, 512)]
    want = torch.arange(-512, 512).clamp(low, high).tolist()
    below = Const(-low, 7)
    assert evaluate(lambda m, v, s: clamp(v, below, s), 10, pairs, shift_bits=7) == want
    pairs = [(v, -low) for v in range(-512, 512)]
    above = Const(high, 7)
    assert evaluate(lambda m, v, s: clamp(v, s, above), 10, pairs, shift_bits=7) == want


def test_refusals():
    m = None     # refused before anything is added to the module
    with pytest.raises(TypeError, match=r"wanted a signed value, got unsigned\(8\)"):
        rhe(m, Signal(8), 1)
    with pytest.raises(ValueError, match=r"wanted a shift in 0\.\.47, got 48"):
        rhe(m, Signal(signed(8)), 48)
    with pytest.raises(ValueError, match="wanted at most 62 bits, got 63"):
        rhe(m, Signal(signed(63)), 1)
    with pytest.raises(ValueError, match="wanted at most 64 bits, got 65"):
        saturate(Signal(signed(65)), 16)
