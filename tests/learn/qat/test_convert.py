"""Conversion of UNets: which layer gets which rule, and that the result is a UNet."""

import copy

import pytest
import torch
from torch import nn

from hqdm.learn.qat.convert import convert, make_rules
from hqdm.learn.qat.layers import QuantisedLayer
from hqdm.learn.qat.methods import METHODS, make_method
from hqdm.learn.qat.rule import mean_bits

SCHEDULE = (30, 20, 10)


@pytest.fixture
def unet(unets):
    return unets["conditional"]()


def rules_of(model, **options):
    return {r.name: r for r in make_rules(model, make_method("hqdm", **options))}


def test_roles_and_bits(unet):
    rules = rules_of(unet, weights=3, activations=2)
    attention = "down_blocks.0.attentions.0.transformer_blocks.0"
    wanted = {
        "conv_in": "first", "conv_out": "last", "time_embedding.linear_1": "time",
        "down_blocks.0.resnets.0.time_emb_proj": "time",
        "down_blocks.0.downsamplers.0.conv": "downsample",
        "up_blocks.0.resnets.0.conv_shortcut": "skip", f"{attention}.attn1.to_q": "body",
        f"{attention}.attn2.to_q": "unused", f"{attention}.attn2.to_k": "unused",
        f"{attention}.attn2.to_v": "condition", f"{attention}.attn2.to_out.0": "condition",
        f"{attention}.ff.net.0.proj": "body", "mid_block.resnets.0.conv1": "body"}
    assert {name: rules[name].role for name in wanted} == wanted
    for rule in rules.values():
        if rule.role in ("body", "unused") and rule.kind != "attention":
            assert (rule.weight_bits, rule.activation_bits) == (3, 2), rule
        else:
            assert (rule.weight_bits, rule.activation_bits) == (8, 8), rule
    assert rules[f"{attention}.attn1.products"].heads == 2
    assert 3 < mean_bits(rules.values()) < 8


@pytest.mark.parametrize("axis", ["width", "channel"])
def test_axes_and_orders(unet, axis):
    rules = rules_of(unet, axis=axis)
    for rule in rules.values():
        if rule.role not in ("body", "skip", "downsample") or rule.kind == "attention":
            assert (rule.axis, rule.order) == ("none", 0), rule
        elif rule.kind == "linear":
            assert rule.axis == "channel" and rule.order == min(
                5, (rule.sources[0] & -rule.sources[0]).bit_length() - 1), rule
        else:
            assert rule.axis == axis, rule
    up = rules["up_blocks.0.upsamplers.0.conv"]
    assert (up.upsample, up.width) == (2, 4)
    assert up.order == (3 if axis == "width" else 5)
    joined = rules["up_blocks.1.resnets.0.conv1"]
    assert joined.sources == rules["up_blocks.1.resnets.0.conv_shortcut"].sources == (32, 16)
    assert joined.order == (3 if axis == "width" else 4)


def test_every_rule_is_a_layer_of_the_contract(unet):
    for rule in rules_of(unet).values():
        if rule.kind != "attention":
            layer = rule.to_layer(20)
            assert layer.load.total_channels == sum(rule.sources)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", ["conditional", "unconditional"])
def test_any_unet_by_any_method(unets, kind, name):
    model = unets[kind]()
    before = copy.deepcopy(model.state_dict())
    student = convert(model, make_method(name), SCHEDULE, rank=2)
    size = model.config.sample_size
    x = torch.randn(2, model.config.in_channels, size, size)
    context = {"encoder_hidden_states": torch.randn(2, 1, 8)} if kind == "conditional" else {}
    wanted = model(x, 20, **context).sample
    with student.timestep.observation(), torch.no_grad():
        for t in SCHEDULE:
            student.model(x, t, **context)
        observed = student.model(x, 20, **context).sample
    torch.testing.assert_close(observed, wanted, atol=1e-3, rtol=0)     # passes unrounded
    got = student.model(x, torch.tensor([20, 20]), **context).sample
    assert (got - wanted).square().mean() < wanted.square().mean()
    assert not any(type(m) in (nn.Conv2d, nn.Linear) for m in student.model.modules())
    assert all(torch.equal(a, b) for a, b in zip(
        before.values(), model.state_dict().values(), strict=True))     # a copy was converted
    with pytest.raises(ValueError, match=r"wanted one of the 3 calibrated steps .* got 25"):
        student.model(x, 25, **context)


def test_eight_bits_are_near_the_float_model(unet):
    model = unet
    student = convert(model, make_method("hqdm", weights=8, activations=8), SCHEDULE)
    x, context = torch.randn(8, 4, 8, 8), torch.randn(8, 1, 8)
    with torch.no_grad():
        with student.timestep.observation():
            student.model(x, 10, encoder_hidden_states=context)
        wanted = model(x, 10, encoder_hidden_states=context).sample
        got = student.model(x, 10, encoder_hidden_states=context).sample
    assert (got - wanted).square().mean() < 5e-3 * wanted.square().mean()


def test_residual_upsampling_is_seen(unets):
    rules = rules_of(unets["unconditional"]())
    up, down = (rules[f"{block}.0.{kind}.0.conv1"] for block, kind in (
        ("up_blocks", "upsamplers"), ("down_blocks", "downsamplers")))
    assert (up.upsample, up.width, down.upsample, down.width) == (2, 8, 1, 8)


def test_modules_under_two_names_are_replaced_under_both(unet):
    student = convert(unet, make_method("hqdm"), SCHEDULE)
    down = student.model.down_blocks[0].downsamplers[0]
    assert isinstance(down.conv, QuantisedLayer)
    assert all(m is down.conv for n, m in down.named_children() if n == "Conv2d_0")


def test_trainable_parameters(unet):
    student = convert(unet, make_method("efficientdm"), SCHEDULE)
    kinds = {n.rsplit(".", 1)[-1] for n, p in student.model.named_parameters() if p.requires_grad}
    assert kinds == {"a", "b", "log", "zero"}


@pytest.mark.parametrize("options", [{"name": "efficientdm"}, {"name": "hqdm", "span": "free"}])
def test_both_methods_have_the_same_symmetric_edge_layers(unet, options):
    rules = make_rules(unet, make_method(**options))
    assert {r.asymmetric for r in rules if r.activation_bits == 8} == {False}
    assert {r.asymmetric for r in rules if r.activation_bits == 4} == {True}


def test_a_convolution_that_is_not_supported(unet):
    unet.conv_in = nn.Conv2d(4, 16, 3, padding=1, groups=4)
    with pytest.raises(ValueError, match="conv_in: wanted a square convolution without groups"):
        make_rules(unet, make_method("hqdm"))


def test_a_model_without_a_configuration():
    with pytest.raises(ValueError, match="Linear: wanted a configuration with sample_size"):
        make_rules(nn.Linear(3, 3), make_method("hqdm"))
