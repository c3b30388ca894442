"""The UNet has every kind of layer of LDM-4, and its factory is deterministic."""

import pytest
import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import nn

from hqdm.learn.diffusion.presets import UNETS, unet_preset
from hqdm.learn.diffusion.unet import make_unet


def _of(model, kind):
    return [m for m in model.modules() if isinstance(m, kind)]


@pytest.mark.parametrize("name", ["cifar10", "cifar10-small"])
def test_kinds_of_layers(name):
    unet = make_unet(unet_preset(name)).unet
    assert all(block.time_emb_proj is not None for block in _of(unet, ResnetBlock2D))
    assert {d.conv.stride for d in _of(unet, Downsample2D)} == {(2, 2)}
    assert len(_of(unet, Downsample2D)) == len(_of(unet, Upsample2D)) == 2
    blocks = _of(unet, BasicTransformerBlock)
    assert blocks and all(type(b.ff.net[0]).__name__ == "GEGLU" for b in blocks)
    assert all(b.attn2.to_k.in_features == UNETS[name].context for b in blocks)
    assert all(r.conv_shortcut is not None for r in unet.up_blocks[0].resnets)


@pytest.mark.parametrize("name", ["cifar10", "cifar10-small"])
def test_every_width_admits_a_rotation_of_order_five(name):
    unet = make_unet(unet_preset(name)).unet
    inner = [m.in_channels for m in _of(unet, nn.Conv2d) if m is not unet.conv_in]
    assert all(channels % 32 == 0 for channels in inner)


def test_forward_depends_on_time_and_class():
    model = make_unet(unet_preset("tiny")).eval()
    nn.init.normal_(model.unet.conv_out.weight, generator=torch.Generator().manual_seed(1))
    latents = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(2))
    labels = torch.tensor([0, model.null_class])
    with torch.no_grad():
        output = model(latents, torch.tensor(5), labels)
        assert output.shape == latents.shape
        assert torch.equal(output, model(latents, torch.tensor([5, 5]), labels))
        assert not torch.equal(output, model(latents, torch.tensor(900), labels))
        other = model(latents, torch.tensor(5), labels.flip(0))
    assert not torch.equal(output, other)
    assert model.tokens(labels).shape == (2, 1, 8)


def test_same_seed_same_weights_and_global_state_untouched():
    before = torch.random.get_rng_state()
    first, second, other = (make_unet(unet_preset("tiny"), seed) for seed in (3, 3, 4))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(first.embedding.weight, second.embedding.weight)
    assert not torch.equal(first.embedding.weight, other.embedding.weight)


def test_unknown_preset():
    with pytest.raises(ValueError, match=r"unet preset: wanted one of cifar10, .*, got 'large'"):
        unet_preset("large")
