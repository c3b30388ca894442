"""The table of fields: every one that diffusers has, and no other value than it takes."""

import json
import time
from inspect import signature
from pathlib import Path

import diffusers
import pytest

from hqdm.firmware.catalogue.fields import EMA, TABLE, check_fields

SMALL = {"down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"], "block_out_channels": [8, 8]}
CONDITIONAL = "UNet2DConditionModel"


@pytest.mark.parametrize("kind", TABLE)
def test_every_field_of_diffusers_is_in_the_table(kind):
    wanted = set(signature(getattr(diffusers, kind).__init__).parameters) - {"self"}
    assert set(TABLE[kind]) == wanted


@pytest.mark.parametrize("kind", TABLE)
def test_what_diffusers_has_by_default_is_taken(kind):
    """But for the size, as there is none."""
    for name, found in signature(getattr(diffusers, kind).__init__).parameters.items():
        if name != "self":
            plain = json.loads(json.dumps(found.default))
            assert TABLE[kind][name].takes(plain), name


def test_the_fields_of_a_saved_average_are_left_out():
    assert check_fields("m", CONDITIONAL, SMALL | dict.fromkeys(EMA, 1)) == SMALL


@pytest.mark.parametrize(("change", "text"), [
    ({"layers_per_block": 10 ** 6}, r"layers_per_block: wanted an integer in 1\.\.64, or a list"),
    ({"layers_per_block": 10 ** 9}, r"layers_per_block: wanted an integer in 1\.\.64, or a list"),
    ({"layers_per_block": 64, "transformer_layers_per_block": 99}, r"at most 400 residual and"),
    ({"layers_per_block": [1]}, r"layers_per_block: wanted 2 numbers, one a level, got 1"),
    ({"transformer_layers_per_block": [1, 2, 3]}, r"wanted 2 numbers, one a level, got 3"),
    ({"down_block_types": [1, 2]}, r"down_block_types: wanted a list of a text, got \[1, 2\]"),
    ({"up_block_types": "UpBlock2D"}, r"up_block_types: wanted a list of a text, got 'UpBl"),
    ({"mid_block_type": 7}, r"mid_block_type: wanted a text or null, got 7"),
    ({"block_out_channels": []}, r"block_out_channels: wanted a list of an integer in"),
    ({"block_out_channels": [8] * 17}, r"block_out_channels: wanted a list of .* got \[8, 8"),
    ({"cross_attention_dim": 0}, r"cross_attention_dim: wanted an integer in 1\.\.65535"),
    ({"in_channels": True}, r"in_channels: wanted an integer in 1\.\.65535, got True"),
    ({"in_channels": 4.0}, r"in_channels: wanted an integer in 1\.\.65535, got 4\.0"),
    ({"norm_eps": True}, r"norm_eps: wanted a number in 0\.\.1, got True"),
    ({"norm_eps": float("inf")}, r"norm_eps: wanted a number in 0\.\.1, got inf"),
    ({"use_linear_projection": 1}, r"use_linear_projection: wanted true or false, got 1"),
    ({"sample_size": [8, 8, 8]}, r"sample_size: wanted .*, or height and width or null, got"),
    ({"sample_size": -8}, r"sample_size: wanted an integer in 1\.\.65535, or height and width"),
    ({"downsample_padding": 2}, r"downsample_padding: wanted an integer in 0\.\.1, got 2"),
    ({"act_fn": "gelu"}, r"act_fn: wanted 'silu' or 'swish', got 'gelu'"),
    ({"resnet_time_scale_shift": "ada_group"}, r"wanted 'default' or 'scale_shift', got 'ada_g"),
    ({"attention_type": "gated"}, r"attention_type 'gated' is not lowered: as it is run without"),
    ({"down_block_types": ["KDownBlock2D", "DownBlock2D"]},
     r"down_block_types: KDownBlock2D is not lowered: .*; the nearest that is: Resnet"),
    ({"loss": 1, "chanels": 2}, r"^m: unknown loss, chanels \(in_channels\?\): remove or correct"),
    ({"x" * 999: 1}, r"^m: unknown xxx"),
    ({"act_fn": "x" * 999}, r"act_fn: wanted 'silu' or 'swish', got 'x{56}\.\.\.$"),
])
def test_bad_values_are_refused_at_once(change, text):
    began = time.monotonic()
    with pytest.raises(ValueError, match=text) as error:
        check_fields("m", CONDITIONAL, SMALL | change)
    assert len(str(error.value)) < 300 and time.monotonic() - began < 1


def test_the_table_of_configurations_has_most_fields():
    """A field that no configuration of the table says would be of no use there."""
    table = json.loads((Path(__file__).parent / "configurations.json").read_text())
    said = {name for entry in table.values() for name in entry["config"]}
    assert len(set(TABLE[CONDITIONAL]) - said) <= 3
