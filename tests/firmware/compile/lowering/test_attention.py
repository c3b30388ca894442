"""Attention to a context: folded where it is a constant, to the pixels where there is none."""

import pytest
import torch
from diffusers import UNet2DConditionModel

from hqdm.firmware.compile.lowering import lower
from hqdm.learn.calibration import Reference
from tests.firmware.compile.lowering.test_unet import TIMESTEPS, conditional, draw


def on_meta(**options):
    settings = {
        "sample_size": 8, "block_out_channels": (16, 32), "layers_per_block": 1,
        "down_block_types": ("SimpleCrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "SimpleCrossAttnUpBlock2D"),
        "mid_block_type": "UNetMidBlock2DSimpleCrossAttn", "cross_attention_dim": 12,
        "attention_head_dim": 8, "norm_num_groups": 4} | options
    with torch.device("meta"):
        return UNet2DConditionModel(**settings).eval()


@pytest.mark.parametrize("options", [
    {"only_cross_attention": True}, {"only_cross_attention": [True, False]},
    {"transformer_layers_per_block": 2, "only_cross_attention": True},
    {"mid_block_type": "UNetMidBlock2D", "only_cross_attention": True},
    {"conv_in_kernel": 1, "conv_out_kernel": 1}])
def test_attention_to_the_context_only(options):
    """A constant that no attention layer is there for goes to the bias before it."""
    model, contexts = conditional(**options), draw(3, 12)
    real = lower(model, TIMESTEPS, contexts=contexts)
    x, classes = draw(3, 4, 8, 8), torch.tensor([2, 0, 1])
    for entry, t in enumerate(TIMESTEPS):
        wanted = model(x, t, contexts[classes][:, None]).sample
        got = Reference(real, dtype=torch.float64)(x, entry, classes)
        assert float((got - wanted).abs().max()) <= 1e-13


def test_without_a_context_cross_attention_is_to_the_pixels():
    """As AudioLDM: what could take a context is given none, and as wide as the pixels."""
    model = conditional(cross_attention_dim=[16, 32])
    real = lower(model, TIMESTEPS)
    assert any(n.layer.name.endswith("attn2.scores") for n in real.network.nodes)
    x = draw(3, 4, 8, 8)
    for entry, t in enumerate(TIMESTEPS):
        got = Reference(real, dtype=torch.float64)(x, entry)
        assert float((got - model(x, t, None).sample).abs().max()) <= 1e-13


def test_keys_of_image_and_context_are_joined_by_the_host():
    """Kandinsky's attention: 64 pixels and 7 tokens are 71 keys."""
    network = lower(on_meta(), (0,), contexts=torch.empty(1, 7, 12, device="meta")).network
    layers = {n.layer.name: n for n in network.nodes}
    scores = layers["down_blocks.0.attentions.0.scores"]
    assert scores.layer.multiply.out_channels == 71 * scores.layer.multiply.heads
    keys = next(h for h in network.host if h.output == scores.weights)
    assert keys.kind == "join" and keys.source == "down_blocks.0.attentions.0.to_k"


def test_keys_of_the_context_only():
    """Without those of the image there is nothing to join."""
    model = on_meta(only_cross_attention=True)
    network = lower(model, (0,), contexts=torch.empty(1, 7, 12, device="meta")).network
    assert "join" not in {h.kind for h in network.host}
    assert not any(n.layer.name.endswith(("to_k", "to_v")) for n in network.nodes)


def test_joined_attention_wants_a_context_and_no_weights():
    with pytest.raises(ValueError, match=r"attentions.0: wanted a context, got none"):
        lower(on_meta(), (0,))
    model = on_meta().to_empty(device="cpu")
    with pytest.raises(ValueError, match=r"wanted a network of shapes, got one with weights"):
        lower(model, (0,), contexts=torch.zeros(1, 12))
