"""Networks of shapes: the listed ones are current, and no product is lost."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hqdm.cycles.question import ask
from hqdm.firmware.catalogue.library import make_model, names, read_model
from hqdm.firmware.catalogue.shapes import (
    LAYERS,
    in_formats,
    listing,
    lower_shapes,
    read_listing,
    shapes,
)
from hqdm.firmware.compile.lowering import lower
from hqdm.learn.diffusion.macs import count_macs
from hqdm.learn.diffusion.presets import unet_preset
from hqdm.learn.diffusion.unet import make_unet
from hqdm.learn.qat.convert import make_rules
from hqdm.learn.qat.export import load_quantised
from hqdm.learn.qat.methods import make_method
from hqdm.spec import config_by_name
from hqdm.spec.precision import Formats, roles, with_formats

# design: (convolutions and linear layers, products of attention) in GMAC
GMAC = {"ldm4-imagenet": (99.77, 4.46), "ldm4-bedrooms": (96.02, 5.18),
        "ldm8-churches": (18.64, 2.28)}
SHIPPED = Path(__file__).parents[3] / "models" / "cifar10"
SD_LIKE = {
    "_class_name": "UNet2DConditionModel", "hqdm": {"tokens": 77}, "sample_size": 16,
    "block_out_channels": [32, 64], "layers_per_block": 1, "cross_attention_dim": 48,
    "attention_head_dim": 8, "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"]}


def counted(config, size, tokens=1):
    """Products of the diffusers model as its modules run, by kind."""
    model = make_model(config)
    arguments = [torch.empty(1, model.config.in_channels, size, size, device="meta"),
                 torch.zeros(1, device="meta")]
    if config.kind == "UNet2DConditionModel":
        arguments.append(torch.empty(1, tokens, model.config.cross_attention_dim, device="meta"))
    return count_macs(model, *arguments)


@pytest.mark.parametrize("name", names())
def test_the_listed_layers_are_current(name):
    """If not: python -m hqdm.firmware.catalogue."""
    config = read_model(name)
    assert (LAYERS / f"{name}.json").read_text() == listing(lower_shapes(config))
    assert read_listing(config) == lower_shapes(config)


@pytest.mark.parametrize("name", names())
def test_every_product_is_a_layer_or_folded(name):
    config = read_model(name)
    found = shapes(config)
    counts = counted(config, config.fields["sample_size"])
    assert found.network.macs + sum(f.macs for f in found.folded) == sum(counts.values())
    if name in GMAC:
        own = round((counts["conv"] + counts["linear"]) / 1e9, 2)
        assert (own, round(counts["attention"] / 1e9, 2)) == GMAC[name]


def test_shapes_and_weights_are_one_lowering():
    preset = unet_preset("tiny")
    model = make_unet(preset)
    tokens = model.tokens(torch.arange(1))[:, 0]
    wanted = lower(model.unet, (0,), contexts=tokens).network
    got = lower(make_unet(preset).unet.to("meta"), (0,), contexts=tokens.to("meta")).network
    assert got == wanted and not got.host


def test_resampling_of_residual_blocks():
    """Pooling and the doubled shortcut are the host's; doubling before the convolution is not."""
    network = shapes(read_model("ldm8-churches")).network
    layers = {n.layer.name: n for n in network.nodes}
    host = {h.output: h for h in network.host}
    down = layers["down_blocks.0.downsamplers.0.conv1"]
    up = layers["up_blocks.0.upsamplers.0.conv1"]
    assert down.layer.load.height == 16 and not down.layer.load.stages.names
    pooled = host[down.sources[0]]
    assert pooled.kind == "average" and pooled.stages.names == ("channel affine", "table")
    assert network.tensor(pooled.source or "").height == 32
    assert up.layer.load.upsample == 2 and up.layer.load.stages.names == (
        "channel affine", "table")
    second = host[layers["up_blocks.0.upsamplers.0.conv2"].second or ""]
    assert second.kind == "repeat" and second.source == up.sources[0]


def test_several_tokens_are_products(tmp_path):
    """Keys and values of the context are constants; queries, scores and mix are layers."""
    path = tmp_path / "sd.json"
    path.write_text(json.dumps(SD_LIKE))
    config = read_model(str(path))
    found = shapes(config)
    kinds = {n.layer.name.split("attn2.")[1] for n in found.network.nodes
             if "attn2." in n.layer.name}
    assert kinds == {"to_q", "scores", "mix", "to_out.0"}
    assert {h.kind for h in found.network.host} == {"constant"}
    assert found.network.macs + sum(f.macs for f in found.folded) == sum(
        counted(config, 16, tokens=77).values())
    assert [f.what for f in found.folded] == ["time embedding", "keys and values of the context"]
    one = shapes(replace(config, tokens=1))
    assert not any("attn2" in n.layer.name for n in one.network.nodes)


def test_another_size():
    network = shapes(read_model("ldm8-churches"), (16, 48)).network
    assert (network.nodes[0].layer.load.height, network.nodes[0].layer.load.width) == (16, 48)
    with pytest.raises(ValueError, match=r"size: wanted multiples of 16, got 8 x 16"):
        shapes(read_model("ldm8-churches"), (8, 16))


def test_formats():
    """Other bits where 4 bits were, other axes of convolutions; 8 bits stay."""
    network = shapes(read_model("cifar10")).network
    assert with_formats(network, Formats()) == network
    changed = with_formats(network, Formats(weight_bits=2, activation_bits=3, convolution="channel",
                                            linear="none", order=3))
    for old, new, role in zip(network.nodes, changed.nodes, roles(network), strict=True):
        if role in ("first", "last", "product"):
            assert new == old and (old.layer.load.bits, old.layer.load.axis) == (8, "none")
            continue
        load, linear = new.layer.load, new.layer.multiply.op == "linear"
        assert (load.bits, new.layer.multiply.bits) == ((3, 2) if role == "body" else (8, 8))
        assert (old.layer.load.bits == 8) == (role != "body")
        assert (load.axis, load.order) == (("none", 0) if linear else ("channel", 3))


@pytest.mark.parametrize("name", names())
def test_roles_are_those_of_the_parts(name):
    """Told by structure, they are those the names say."""
    network = shapes(read_model(name)).network
    for node, role in zip(network.nodes, roles(network), strict=True):
        part = node.layer.name.rpartition(".")[2]
        assert (role == "skip") == (part == "conv_shortcut")
        assert (role == "downsample") == (node.layer.multiply.stride == 2)
        assert (role == "first") == (part == "conv_in") and (role == "last") == (part == "conv_out")
        assert (role == "product") == (part in ("scores", "mix"))


@pytest.mark.parametrize("bits", [3, 4])
def test_training_and_lowering_agree_on_the_shipped_network(bits):
    """The rules of the file, those of a new conversion, and the listed layers in its formats."""
    shipped, _, _ = load_quantised(SHIPPED / f"w4a{bits}.safetensors")
    method = make_method("hqdm", activations=bits, axis="channel", span="free")
    by_name = {r.name: r for r in shipped.rules if r.kind != "attention"}
    model = make_unet(unet_preset("cifar10")).unet
    again = {r.name: r for r in make_rules(model, method) if r.kind != "attention"}
    assert again == by_name
    network = with_formats(shapes(read_model("cifar10")).network, method.formats)
    for node, role in zip(network.nodes, roles(network), strict=True):
        load, multiply = node.layer.load, node.layer.multiply
        if role == "product":
            continue
        rule = by_name[node.layer.name]
        assert (rule.role, rule.activation_bits, rule.weight_bits) == (
            role, load.bits, multiply.bits)
        assert (rule.axis, rule.order, rule.asymmetric) == (load.axis, load.order, load.ranged)


def test_the_listed_layers_take_the_cycles_of_the_shipped_network():
    config = config_by_name("n16")
    models = [read_model(m) for m in ("cifar10", str(SHIPPED / "w4a4.integers.safetensors"))]
    named, own = (ask(in_formats(shapes(m), m), config).step for m in models)
    assert named.cycles == own.cycles == 1_015_898
    assert [(r.name, r.cycles) for r in named.runs] == [(r.name, r.cycles) for r in own.runs]
