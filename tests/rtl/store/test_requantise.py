"""Requantise against hqdm.golden.store, one lane group per cycle without gaps."""

import pytest
import torch
from amaranth.sim import Simulator

from hqdm.golden.store import add_bias, combine
from hqdm.golden.store.requantise import channel_scale, step_scale
from hqdm.golden.store.row_scale import row_scale
from hqdm.rtl.store.requantise import Requantise
from hqdm.spec.fixed import ACCUMULATOR, CARRIER, MAX_SHIFT, RESIDUAL_SHIFT
from hqdm.spec.layer import Residual

LANES = 4
GROUPS = 150
MODES: tuple[Residual, ...] = ("none", "add", "subtract")


def integers(generator, low: int, high: int) -> torch.Tensor:
    """[GROUPS, LANES] of every magnitude, with the ends of the range among them."""
    shape = (GROUPS, LANES)
    small = torch.randint(0, high.bit_length(), shape, generator=generator)
    values = torch.randint(low, high + 1, shape, generator=generator) >> small
    ends = torch.rand(shape, generator=generator)
    values = torch.where(ends < 0.05, low, values)
    return torch.where(ends > 0.95, high, values)


def random_operands(seed: int) -> dict:
    generator = torch.Generator().manual_seed(seed)
    return {"sums": integers(generator, ACCUMULATOR.low, ACCUMULATOR.high),
            "multipliers": integers(generator, 1, (1 << 16) - 1).clamp(min=1),
            "factors": torch.randint(0, 1 << 16, (GROUPS, LANES), generator=generator),
            "bias": integers(generator, CARRIER.low, CARRIER.high),
            "second": integers(generator, CARRIER.low, CARRIER.high)}


def golden(x: dict, settings: dict, mode: Residual) -> list[list[int]]:
    """golden works on (O, H, W) with one M per channel: make every value a channel."""
    y = channel_scale(x["sums"].reshape(-1, 1, 1), x["multipliers"].reshape(-1),
                      settings["channel_shift"])
    if settings.get("row_scale"):
        y = row_scale(y, x["factors"].reshape(-1, 1, 1).to(torch.int16))
    y = step_scale(y, settings["step_multiplier"], settings["step_shift"])
    y = add_bias(y, x["bias"].reshape(-1))
    if mode != "none":
        second = x["second"].reshape(-1, 1, 1)
        y = combine(y, second, settings["residual_shift"] - RESIDUAL_SHIFT, mode)
    return y.reshape(GROUPS, LANES).tolist()


def rtl(x: dict, settings: dict, mode: Residual) -> list[list[int]]:
    dut = Requantise(LANES)
    entry = {"sums": 0, "multipliers": 0, "factors": dut.row_at, "bias": dut.bias_at,
             "second": dut.second_at}
    outputs = []

    async def testbench(ctx):
        for name, value in settings.items():
            ctx.set(getattr(dut, name), value)
        ctx.set(dut.residual, MODES.index(mode))
        for cycle in range(GROUPS + dut.latency):
            for name, delay in entry.items():
                if 0 <= cycle - delay < GROUPS:
                    ctx.set(getattr(dut, name), x[name][cycle - delay].tolist())
            if cycle >= dut.latency:
                outputs.append(list(ctx.get(dut.o)))
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    return outputs


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channel_shift, step_multiplier, step_shift, residual_shift", [
    (0, 1, 0, 15), (15, 40000, 20, 14), (24, 65535, 30, 17), (20, 33000, 24, 0), (1, 1, 1, 30),
    (MAX_SHIFT, 65535, MAX_SHIFT, 1), (30, 50000, 17, 19), (12, 1 << 15, 23, 16),
])
def test_requantise_equals_golden(channel_shift, step_multiplier, step_shift, residual_shift,
                                  mode):
    x = random_operands(channel_shift * 64 + step_shift)
    settings = {"channel_shift": channel_shift, "step_multiplier": step_multiplier,
                "step_shift": step_shift, "residual_shift": residual_shift}
    assert rtl(x, settings, mode) == golden(x, settings, mode)


@pytest.mark.parametrize("name", ["channel_shift", "step_shift"])
def test_every_shift_to_the_last_bit(name):
    """One lane, and few values at a shift, of a size that the shift leaves three bits of."""
    dut, generator = Requantise(1), torch.Generator().manual_seed(3)
    counts, got, wanted = 8, [], []
    most = 31 if name == "channel_shift" else 23        # bits of a sum, and of a mid

    async def one_shift(ctx, shift):
        multiplier = 65535 if shift + 3 > most else 1
        size = min(most, shift + 3 - (multiplier.bit_length() if multiplier > 1 else 0))
        sums = torch.randint(-(1 << size), 1 << size, (counts,), generator=generator)
        settings = {"channel_shift": 0, "step_multiplier": 1, "step_shift": 0, name: shift}
        channel = multiplier if name == "channel_shift" else 1
        settings["step_multiplier"] = 1 if name == "channel_shift" else multiplier
        mid = channel_scale(sums.reshape(-1, 1, 1), torch.full((counts,), channel),
                            settings["channel_shift"])
        y = step_scale(mid, settings["step_multiplier"], settings["step_shift"])
        wanted.append(y.flatten().tolist())
        for key, value in settings.items():
            ctx.set(getattr(dut, key), value)
        ctx.set(dut.multipliers, [channel])
        got.append([])
        for cycle in range(counts + dut.latency):
            ctx.set(dut.sums, [int(sums[min(cycle, counts - 1)])])
            if cycle >= dut.latency:
                got[-1] += list(ctx.get(dut.o))
            await ctx.tick()

    async def testbench(ctx):
        ctx.set(dut.residual_shift, RESIDUAL_SHIFT)
        for shift in range(MAX_SHIFT + 1):
            await one_shift(ctx, shift)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(testbench)
    sim.run()
    assert got == wanted
    # a shift that acted as its neighbour would be seen, up to the largest that leaves anything
    last = MAX_SHIFT if name == "channel_shift" else 38
    assert all(len(set(values)) > 1 for values in wanted[:last + 1])


def plain(sums: torch.Tensor, factors: torch.Tensor | None = None) -> dict:
    """M = 1, no bias, no second operand; junk where there is no factor."""
    zeros = torch.zeros_like(sums)
    return {"sums": sums, "multipliers": torch.ones_like(sums), "bias": zeros, "second": zeros,
            "factors": torch.full_like(sums, 0xFFFF) if factors is None else factors}


def test_ties_round_to_even():
    """Sums k + 1/2 after the shift by one: every tie of both signs."""
    sums = torch.arange(-GROUPS * LANES, GROUPS * LANES, 2).reshape(GROUPS, LANES) + 1
    x = plain(sums)
    settings = {"channel_shift": 1, "step_multiplier": 1, "step_shift": 0, "residual_shift": 15}
    result = rtl(x, settings, "none")
    assert result == golden(x, settings, "none")
    assert all(value % 2 == 0 for group in result for value in group)


@pytest.mark.parametrize("step_shift", [0, 8])
@pytest.mark.parametrize("mantissa", [1024, 1025, 1536, 2047])
def test_row_scale_at_every_shift(mantissa, step_shift):
    """Neighbouring groups have different shifts; all 24 bits of mid, its ends and its ties."""
    x = random_operands(mantissa)
    mid = integers(torch.Generator().manual_seed(mantissa), -(1 << 23), (1 << 23) - 1)
    shifts = torch.arange(GROUPS * LANES).reshape(GROUPS, LANES) % 32
    ties = (2 * (torch.arange(GROUPS)[:, None] % 32) + 1) << (shifts - 11).clamp(0, 17)
    mid[::3] = torch.where(mid[::3] < 0, -ties[::3], ties[::3])     # k + 1/2 with 1024
    x |= {"sums": mid, "multipliers": torch.ones_like(mid), "factors": mantissa | shifts << 11}
    settings = {"channel_shift": 0, "row_scale": 1, "step_multiplier": 1,
                "step_shift": step_shift, "residual_shift": 15}
    assert rtl(x, settings, "none") == golden(x, settings, "none")


@pytest.mark.parametrize("mode", MODES)
def test_row_scale_of_any_pattern(mode):
    """Mantissas below 1024 too; the residual, which the controller refuses beside it, still works.
    """
    x = random_operands(7)
    settings = {"channel_shift": 20, "row_scale": 1, "step_multiplier": 40000, "step_shift": 22,
                "residual_shift": 16}
    assert rtl(x, settings, mode) == golden(x, settings, mode)


def test_row_scale_rounds_ties_to_even_and_saturates():
    """mid * 1024 >> 11 is k / 2; with shift 0 it is beyond 24 bits of both signs."""
    sums = torch.arange(-GROUPS * LANES, GROUPS * LANES, 2).reshape(GROUPS, LANES) + 1
    settings = {"channel_shift": 0, "row_scale": 1, "step_multiplier": 1, "step_shift": 0,
                "residual_shift": 15}
    halves = rtl(plain(sums, torch.full_like(sums, 1024 | 11 << 11)), settings, "none")
    assert halves == [[round(v / 2) for v in group] for group in sums.tolist()]
    assert all(value % 2 == 0 for group in halves for value in group)
    large = torch.where(sums < 0, -(1 << 23), (1 << 23) - 1)
    ends = rtl(plain(large, torch.full_like(sums, 2047)), settings | {"step_shift": 10}, "none")
    assert {value for group in ends for value in group} == {-8192, 8192}
