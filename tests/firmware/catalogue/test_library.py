"""Configuration files of models: named ones, files, and those that are refused."""


import pytest

from hqdm.firmware.catalogue.library import make_model, names, read_model, with_tokens
from hqdm.learn.diffusion.presets import unet_preset
from hqdm.learn.diffusion.unet import make_unet

TINY = {
    "_class_name": "UNet2DModel", "sample_size": 8, "block_out_channels": [8, 8],
    "down_block_types": ["DownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "UpBlock2D"], "norm_num_groups": 4}


def test_names():
    assert names() == ("cifar10", "ldm4-bedrooms", "ldm4-imagenet", "ldm8-churches")


@pytest.mark.parametrize(("name", "parameters"), [
    ("ldm4-imagenet", 400_920_579), ("ldm4-bedrooms", 274_056_163),
    ("ldm8-churches", 294_966_916)])
def test_parameters_are_those_of_compvis(name, parameters):
    """The class embedding of ldm4-imagenet is outside of the UNet, there and here."""
    assert sum(p.numel() for p in make_model(read_model(name)).parameters()) == parameters


def test_cifar10_is_the_preset():
    ours = make_model(read_model("cifar10"))
    wanted = make_unet(unet_preset("cifar10")).unet
    shapes = {name: p.shape for name, p in wanted.named_parameters()}
    assert {name: p.shape for name, p in ours.named_parameters()} == shapes
    heads = {n: m.heads for n, m in wanted.named_modules() if hasattr(m, "heads")}
    assert {n: m.heads for n, m in ours.named_modules() if hasattr(m, "heads")} == heads


def test_eight_heads_everywhere():
    model = make_model(read_model("ldm8-churches"))
    found = {(m.heads, m.inner_dim) for m in model.modules() if hasattr(m, "heads")}
    assert found == {(8, 192), (8, 384), (8, 768)}
    assert all(m.scale == (m.inner_dim // 8) ** -0.5 for m in model.modules()
               if hasattr(m, "heads"))


def test_a_file_is_a_model(write):
    config = read_model(write(TINY | {"_diffusers_version": "0.1", "hqdm": {"about": "mine"}}))
    assert (config.name, config.kind, config.about) == ("mine", "UNet2DModel", "mine")
    assert not config.guidance and config.tokens is None
    assert read_model("ldm4-imagenet").guidance
    assert next(make_model(config).parameters()).is_meta


@pytest.mark.parametrize(("content", "text"), [
    ("{", r"mine.json: wanted JSON, got Expecting"),
    ([], r"wanted an object with a _class_name of UNet2DConditionModel or UNet2DModel, got list"),
    ({"_class_name": "AutoencoderKL"}, r"wanted a _class_name of .*, got 'AutoencoderKL'"),
    ({"block_out_channels": [8]}, r"wanted a _class_name of .*, got None"),
    (TINY | {"hqdm": {"heads": 0}}, r"wanted hqdm to hold .*heads \(int\).*, got heads: 0"),
    (TINY | {"hqdm": 1}, r"wanted hqdm to hold about \(str\)"),
])
def test_a_bad_file_is_refused(write, content, text):
    with pytest.raises(ValueError, match=text):
        read_model(write(content))


@pytest.mark.parametrize(("change", "text"), [
    ({"chanels": 3, "bloks": 1},
     r"^mine: unknown chanels \(in_channels\?\), bloks: remove or correct what UNet2DModel "),
    ({"down_block_types": ["DownBlock2D"]}, r"wanted a configuration that UNet2DModel takes, got"),
    ({"down_block_types": ["Nothing", "DownBlock2D"]}, r"UNet2DModel takes, got ValueError: .*No"),
    ({"norm_num_groups": 3}, r"wanted a configuration that UNet2DModel takes, got"),
    ({"down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "hqdm": {"heads": 3}},
     r"attentions.0: wanted channels in 3 heads, got 8"),
])
def test_a_bad_model_is_refused(write, change, text):
    with pytest.raises(ValueError, match=text):
        make_model(read_model(write(TINY | change)))


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"wanted one of cifar10, ldm4-bedrooms, .* got 'ldm5'"):
        read_model("ldm5")


def test_tokens():
    config = read_model("cifar10")
    assert with_tokens(config, None) is config and with_tokens(config, 77).tokens == 77
    for name, tokens in (("cifar10", 0), ("ldm8-churches", 2)):
        with pytest.raises(ValueError, match=rf"tokens: wanted at least 1 of a .* got {tokens}"):
            with_tokens(read_model(name), tokens)
