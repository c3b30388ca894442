"""The fake-quantised layer against golden's integer load and multiply."""

import math
from dataclasses import replace

import pytest
import torch

from hqdm.golden import Carrier, Parameters
from hqdm.golden.layer import load_operands, partial_sums
from hqdm.learn.qat.layers import QuantisedLayer
from hqdm.learn.qat.lora import TrainedWeight
from hqdm.learn.qat.quantiser import AsymmetricQuantiser, FixedSteps, SymmetricQuantiser
from hqdm.learn.qat.rule import Rule
from hqdm.learn.qat.timestep import Timestep
from hqdm.spec.plain import from_plain

EXPONENT = 8
CASES = {
    "conv width": {"axis": "width", "order": 3},
    "conv channel": {"axis": "channel", "order": 3},
    "conv none": {},
    "two sources": {"axis": "channel", "order": 3, "sources": (8, 16)},
    "stride": {"axis": "width", "order": 2, "stride": 2},
    "upsampled": {"axis": "width", "order": 4, "upsample": 2},
    "upsampled channel": {"axis": "channel", "order": 3, "upsample": 2},
    "conv1x1": {"axis": "width", "order": 3, "kernel": 1, "padding": 0},
    "linear": {"kind": "linear", "axis": "channel", "order": 3, "kernel": 1, "padding": 0,
               "height": 10, "width": 1},
}


def make(case: str, bits: tuple[int, int], steps: torch.Tensor,
         zero: list[int] | None = None) -> QuantisedLayer:
    """A frozen layer with the given activation steps and weight steps of powers of two.

    `zero`: zero point of each timestep, None for symmetric activations.
    """
    rule = Rule(**{"name": case, "kind": "conv", "role": "body", "weight_bits": bits[0],
                   "activation_bits": bits[1], "sources": (8,), "height": 8, "width": 8,
                   "outputs": 6, "kernel": 3, "padding": 1,
                   "asymmetric": zero is not None} | CASES[case])
    timestep = Timestep(range(len(steps)))
    shape = (6, sum(rule.sources)) + (rule.kernel, rule.kernel) * (rule.kind == "conv")
    generator = torch.Generator().manual_seed(4)
    weight = TrainedWeight(torch.randn(shape, generator=generator), bits=bits[0], rank=2,
                           order=0, timestep=timestep, generator=generator)
    weight.steps.assign(slice(None), 2.0 ** torch.arange(-5, 1))
    frozen = weight.freeze()
    frozen.steps = FixedSteps(2.0 ** torch.arange(-5, 1))
    kind = SymmetricQuantiser if zero is None else AsymmetricQuantiser
    layer = QuantisedLayer(rule, frozen, kind(bits[1], timestep), torch.arange(6) / 4)
    if zero is not None:
        layer.activation.zero.data = torch.tensor(zero, dtype=torch.float32)
    layer.activation.steps = FixedSteps(steps)
    return layer


def parameters(layer: QuantisedLayer) -> Parameters:
    """Golden's parameters: multiplier and shift approximate 2**-EXPONENT / step to 16 bits."""
    t = len(layer.activation.timestep)
    multipliers, shifts = [], []
    for step in layer.activation.steps.all().double().tolist():
        mantissa, power = math.frexp(2.0 ** -EXPONENT / step)       # mantissa in 0.5 .. 1
        multipliers.append(min(round(mantissa * 65536), 65535) if mantissa != 0.5 else 32768)
        shifts.append(16 - power)
    weights = layer.weight.integers.to(torch.int16)
    if layer.rule.asymmetric:
        low = -layer.activation.zero.detach().long()
        high = low + layer.activation.levels
    else:
        high = torch.full((t,), layer.activation.limit)
        low = -high
    return Parameters(
        weights=weights.view(*weights.shape[:2], layer.rule.kernel, layer.rule.kernel),
        load_multiplier=torch.tensor(multipliers), load_shift=torch.tensor(shifts),
        load_low=low, load_high=high,
        multipliers=torch.ones(6, dtype=torch.int64), channel_shift=0,
        step_multiplier=torch.ones(t, dtype=torch.int64),
        step_shift=torch.zeros(t, dtype=torch.int64),
        bias=torch.zeros(t, 6, dtype=torch.int16),
        residual_shift=torch.zeros(t, dtype=torch.int64),
        source_exponent=torch.full((t,), EXPONENT),
        output_exponent=torch.zeros(t, dtype=torch.int64))


def inputs(layer: QuantisedLayer) -> tuple[list[Carrier], torch.Tensor]:
    """Carriers and the same values as the float layer sees them, (1, C, H, W) or (1, N, C)."""
    rule, generator = layer.rule, torch.Generator().manual_seed(6)
    sources = [Carrier((torch.randn(c, rule.height, rule.width, generator=generator) * 300)
                       .to(torch.int16), EXPONENT) for c in rule.sources]
    x = torch.cat([s.to_float() for s in sources])[None].float()
    if rule.kind == "linear":
        return sources, x.flatten(2).transpose(1, 2)
    return sources, x.repeat_interleave(rule.upsample, 2).repeat_interleave(rule.upsample, 3)


def as_golden(layer: QuantisedLayer, y: torch.Tensor) -> torch.Tensor:
    """(1, N, C) of a linear layer to golden's (1, C, N, 1)."""
    return y.transpose(1, 2)[..., None] if layer.rule.kind == "linear" else y


@pytest.mark.parametrize("bits", [(4, 4), (8, 8), (2, 3), (3, 2), (4, 8), (8, 4)])
@pytest.mark.parametrize("case", CASES)
def test_equal_to_the_integer_layer_where_steps_are_powers_of_two(case, bits):
    check_integers(make(case, bits, torch.tensor([0.25, 2.0, 0.0625])))


@pytest.mark.parametrize("bits", [4, 3, 2])
@pytest.mark.parametrize("case", CASES)
def test_equal_with_zero_points(case, bits):
    top = (1 << bits) - 1
    check_integers(make(case, (4, bits), torch.tensor([0.25, 2.0, 0.0625]), [0, 1, top]))


def check_integers(layer: QuantisedLayer) -> None:
    """Operands and sums at every step are golden's."""
    described, golden = layer.rule.to_layer(3), parameters(layer)
    golden.check(described)
    sources, x = inputs(layer)
    for entry, step in enumerate((0.25, 2.0, 0.0625)):
        layer.activation.timestep.index = torch.tensor(entry)
        operands = load_operands(described, golden, sources, entry)
        sums = partial_sums(described, golden, operands)
        u, scale = layer.operand(x)
        assert torch.equal(as_golden(layer, u)[0].to(torch.int64), operands)
        assert scale.item() == step * 2.0 ** -layer.rule.order
        wanted = sums * scale * layer.weight.steps.all()[:, None, None] \
            + layer.bias[:, None, None]
        assert torch.equal(as_golden(layer, layer(x))[0], wanted)
        assert len(operands.unique()) >= 3


@pytest.mark.parametrize("case", CASES)
def test_other_steps_agree_but_for_values_at_a_tie(case):
    layer = make(case, (4, 4), torch.tensor([0.317, 1.913]))
    described, golden = layer.rule.to_layer(2), parameters(layer)
    sources, x = inputs(layer)
    for entry in range(2):
        layer.activation.timestep.index = torch.tensor(entry)
        operands = load_operands(described, golden, sources, entry)
        mine = as_golden(layer, layer.operand(x)[0])[0]
        assert (mine != operands).float().mean() < 0.01
        assert (mine - operands).abs().max() <= 2


@pytest.mark.parametrize("case", CASES)
def test_bfloat16_sums_are_of_the_same_integers(case):
    """|u| <= 7 * 2**order and |w| <= 7 are bfloat16 numbers; only the sums are rounded."""
    layer = make(case, (4, 4), torch.tensor([0.25]))
    x = inputs(layer)[1]
    exact = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        low = layer(x)
    assert low.dtype == torch.float32
    assert (low - exact).abs().max() <= 2.0 ** -8 * (exact - 1).abs().max()


def test_a_timestep_per_sample():
    layer = make("conv width", (4, 4), torch.tensor([0.25, 2.0]))
    x = inputs(layer)[1]
    layer.activation.timestep.index = torch.tensor([1, 0])
    both = layer(x.repeat(2, 1, 1, 1))
    for sample, entry in enumerate((1, 0)):
        layer.activation.timestep.index = torch.tensor(entry)
        assert torch.equal(both[sample], layer(x)[0])


def test_rule_refuses_what_the_contract_does_not_have():
    rule = make("conv width", (4, 4), torch.ones(1)).rule
    with pytest.raises(ValueError, match="whose activations are rotated and rotated back, got Rul"):
        replace(rule, rotated_weights=True).to_layer(1)
    with pytest.raises(ValueError, match="ranged: wanted 2, 3 or 4 bits, got 8"):
        replace(rule, activation_bits=8, asymmetric=True).to_layer(1)
    with pytest.raises(ValueError, match="wanted a kernel of 1 or 3, got 5"):
        replace(rule, kernel=5).to_layer(1)


def test_order_is_reduced_to_the_axis_and_to_int32():
    rule = make("two sources", (8, 8), torch.ones(1)).rule
    assert rule.rotated("channel", 6) == ("channel", 3)     # gcd(8, 16)
    deep = replace(rule, sources=(4096,), weight_bits=8, activation_bits=4)
    assert deep.rotated("channel", 5) == ("channel", 5)
    assert replace(deep, asymmetric=True).rotated("channel", 5) == ("channel", 4)
    assert rule.rotated("width", 6) == ("width", 3)
    assert rule.rotated("none", 6) == ("none", 0)
    assert replace(rule, width=9).rotated("width", 6) == ("none", 0)
    assert replace(rule, upsample=2).rotated("width", 6) == ("width", 4)
    wide = replace(rule, sources=(576,), width=64)
    assert wide.rotated("width", 6) == ("width", 4)
    assert replace(wide, axis="width", order=4).to_layer(1).partial_sum_bound < 1 << 31


def test_rule_json():
    rule = make("two sources", (8, 8), torch.ones(1)).rule
    assert from_plain(Rule, rule.to_json()) == rule
