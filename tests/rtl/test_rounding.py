"""The RTL's rounding against golden's, exhaustively where small and at every shift where wide."""

import pytest
import torch
from amaranth import *
from amaranth.sim import Simulator

from hqdm.golden.arithmetic import rounding as golden
from hqdm.rtl.rounding import floor, narrow, one_hot, saturate, settle, window
from hqdm.spec.fixed import MAX_SHIFT


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


def want(pairs, bits, point=0):
    values, shifts = (torch.tensor(t, dtype=torch.int64) for t in zip(*pairs, strict=True))
    return golden.saturate(golden.rhe(values, shifts + point), bits).tolist()


def by_fours(m, value, shift, bits, point=0):
    """Shifts of 0..11: by 4 of a one-hot choice of three, then by 2, then by 1."""
    x = narrow(m, window(value, point), 4, one_hot(shift[2:], 3), bits + 4)
    x = narrow(m, x, 2, shift[1], bits + 2)
    return narrow(m, x, 1, shift[0], bits + 1)


def by_sixteens(m, value, shift, bits):
    """Shifts of 0..47, the way the store does it."""
    x = narrow(m, window(value), 16, one_hot(shift[4:], 3), bits + 16)
    for k in reversed(range(4)):
        x = narrow(m, x, 1 << k, shift[k], bits + (1 << k))
    return x


@pytest.mark.parametrize("point", [0, 1, 3])
@pytest.mark.parametrize("bits", [2, 4, 7])
def test_every_value_of_a_narrow_number(bits, point):
    pairs = [(v, s) for s in range(12) for v in range(-256, 256)]
    found = evaluate(lambda m, v, s: settle(m, by_fours(m, v, s, bits, point), bits), 9, pairs)
    assert found == want(pairs, bits, point)


@pytest.mark.parametrize("bits", [3, 5])
def test_floor_is_on_the_right_side_of_every_bound(bits):
    """Compared with bounds within `bits` bits it stands for the rounded number."""
    pairs = [(v, s) for s in range(12) for v in range(-128, 128)]
    found = evaluate(lambda m, v, s: floor(by_fours(m, v, s, bits), bits)[0], 8, pairs)
    top = 1 << (bits - 1)
    for (v, s), whole in zip(pairs, found, strict=True):
        exact = v >> s
        assert whole == exact if -top <= exact < top else (whole >= top) == (exact >= top)


@pytest.mark.parametrize("width, bits", [(24, 8), (40, 16), (48, 24)])
def test_every_shift_of_a_wide_number(width, bits):
    """Extremes, both bounds, ties and their neighbours, and random values, at every legal shift."""
    print("seed", width)
    generator = torch.Generator().manual_seed(width)
    top, bound = 1 << (width - 1), 1 << (bits - 1)
    random = torch.randint(-top, top, (4,), generator=generator).tolist()
    pairs = []
    for s in range(MAX_SHIFT + 1):
        ties = [(k << s) + ((1 << s) >> 1) + d for d in (-1, 0, 1)
                for k in (-bound - 1, -bound, -3, -2, -1, 0, 1, 2, bound - 2, bound - 1)]
        random.append(random[s] >> (s % width))
        pairs += [(v, s) for v in (-top, top - 1, *ties, *random) if -top <= v < top]
    found = evaluate(lambda m, v, s: settle(m, by_sixteens(m, v, s, bits), bits), width, pairs)
    assert found == want(pairs, bits)


@pytest.mark.parametrize("bits", [1, 4, 7, 8])
def test_saturate(bits):
    pairs = [(v, 0) for v in range(-128, 128)]
    want = golden.saturate(torch.arange(-128, 128), bits).tolist()
    assert evaluate(lambda m, v, _: saturate(v, bits), 8, pairs) == want


def test_refusals():
    with pytest.raises(TypeError, match=r"wanted a signed value, got unsigned\(8\)"):
        saturate(Signal(8), 4)
    with pytest.raises(TypeError, match=r"wanted a signed value, got unsigned\(8\)"):
        window(Signal(8))
