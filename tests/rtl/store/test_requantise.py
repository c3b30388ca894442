"""Requantise against golden.store, one lane group per cycle without gaps."""

import pytest
import torch
from amaranth.sim import Simulator

from golden.store import add_bias, combine, requantise
from rtl.store.requantise import STAGES, Requantise, stage_start
from spec.fixed import ACCUMULATOR, CARRIER, MAX_SHIFT, RESIDUAL_SHIFT
from spec.layer import Residual

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


def golden(x: dict, settings: dict, mode: Residual) -> list[list[int]]:
    """golden works on (O, H, W) with one M per channel: make every value a channel."""
    y = requantise(x["sums"].reshape(-1, 1, 1), x["multipliers"].reshape(-1),
                   settings["channel_shift"], settings["step_multiplier"],
                   settings["step_shift"])
    y = add_bias(y, x["bias"].reshape(-1))
    if mode != "none":
        second = x["second"].reshape(-1, 1, 1)
        y = combine(y, second, settings["residual_shift"] - RESIDUAL_SHIFT, mode)
    return y.reshape(GROUPS, LANES).tolist()


def rtl(x: dict, settings: dict, mode: Residual) -> list[list[int]]:
    dut = Requantise(LANES)
    entry = {"sums": 0, "multipliers": 0, "bias": dut.bias_at, "second": dut.second_at}
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
    generator = torch.Generator().manual_seed(channel_shift * 64 + step_shift)
    x = {"sums": integers(generator, ACCUMULATOR.low, ACCUMULATOR.high),
         "multipliers": integers(generator, 1, (1 << 16) - 1).clamp(min=1),
         "bias": integers(generator, CARRIER.low, CARRIER.high),
         "second": integers(generator, CARRIER.low, CARRIER.high)}
    settings = {"channel_shift": channel_shift, "step_multiplier": step_multiplier,
                "step_shift": step_shift, "residual_shift": residual_shift}
    assert rtl(x, settings, mode) == golden(x, settings, mode)


def test_ties_round_to_even():
    """Sums k + 1/2 after the shift by one: every tie of both signs."""
    sums = torch.arange(-GROUPS * LANES, GROUPS * LANES, 2).reshape(GROUPS, LANES) + 1
    x = {"sums": sums, "multipliers": torch.ones_like(sums), "bias": torch.zeros_like(sums),
         "second": torch.zeros_like(sums)}
    settings = {"channel_shift": 1, "step_multiplier": 1, "step_shift": 0, "residual_shift": 15}
    result = rtl(x, settings, "none")
    assert result == golden(x, settings, "none")
    assert all(value % 2 == 0 for group in result for value in group)


def test_stages_are_known_by_name():
    assert [stage_start(name) for name, _ in STAGES] == [0, 3, 6, 7]
    with pytest.raises(ValueError, match="wanted one of channel, timestep, bias, second, got 'x'"):
        stage_start("x")
