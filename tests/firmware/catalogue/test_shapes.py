"""Networks of shapes: the listed ones are current, and no product is lost."""

import json
from dataclasses import replace

import pytest
import torch

from hqdm.cycles.reformat import reformat
from hqdm.firmware.catalogue.library import make_model, names, read_model
from hqdm.firmware.catalogue.shapes import LAYERS, listing, lower_shapes, read_listing, shapes
from hqdm.firmware.compile.lowering import lower
from hqdm.learn.diffusion.macs import count_macs
from hqdm.learn.diffusion.presets import unet_preset
from hqdm.learn.diffusion.unet import make_unet

# design: (convolutions and linear layers, products of attention) in GMAC
GMAC = {"ldm4-imagenet": (99.77, 4.46), "ldm4-bedrooms": (96.02, 5.18),
        "ldm8-churches": (18.64, 2.28)}
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
    """Other bits and axes where 4 bits were; 8 bits stay."""
    network = shapes(read_model("cifar10")).network
    assert reformat(network) == network
    changed = reformat(network, weight_bits=2, activation_bits=3, convolution="channel",
                       linear="none", order=3)
    for old, new in zip(network.nodes, changed.nodes, strict=True):
        if old.layer.load.bits == 8:
            assert new == old
            continue
        load, linear = new.layer.load, new.layer.multiply.op == "linear"
        assert (load.bits, new.layer.multiply.bits) == (3, 2)
        assert (load.axis, load.order) == (("none", 0) if linear else ("channel", 3))
    with pytest.raises(ValueError, match=r"order: wanted 0..6, got 7"):
        reformat(network, order=7)
