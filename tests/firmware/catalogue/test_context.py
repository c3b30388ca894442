"""How many tokens a configuration tells of, and what is assumed where it does not."""

import pytest

from hqdm.firmware.catalogue.context import check_tokens, context

KIND = "UNet2DConditionModel"
PLAIN = {"down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"],
         "mid_block_type": "UNetMidBlock2D"}


@pytest.mark.parametrize(("kind", "fields", "tokens", "text"), [
    ("UNet2DModel", {}, None, ""), (KIND, {"cross_attention_dim": None}, None, ""),
    *((KIND, {"cross_attention_dim": width}, 77, "77 tokens of text assumed, --tokens")
      for width in (768, 1024, 1280, 2048, [768, 768])),
    (KIND, {}, 77, "77 tokens of text assumed"),            # diffusers' own width is 1280
    (KIND, {"cross_attention_dim": 512}, 1, "1 token of context assumed, to which cross-att"),
    (KIND, {"cross_attention_dim": 512, "encoder_hid_dim": 4096}, 77, "77 tokens of text"),
    (KIND, {"cross_attention_dim": 768, "encoder_hid_dim_type": "text_image_proj"}, 87,
     "77 tokens of text and 10 of an image assumed"),
    (KIND, {"cross_attention_dim": 768, "encoder_hid_dim_type": "image_proj"}, 32, ""),
    (KIND, {"cross_attention_dim": [128, 256]}, None, "no context assumed, as it would have sev"),
    (KIND, {"cross_attention_dim": 512} | PLAIN, 1, ""),     # nothing attends to it
])
def test_tokens(kind, fields, tokens, text):
    found = context(kind, fields)
    assert found.tokens == tokens and found.assumed.startswith(text)
    assert bool(found.assumed) == bool(text)


@pytest.mark.parametrize(("kind", "fields", "tokens", "text"), [
    (KIND, {}, 0, r"tokens: wanted at least 1 of a UNet2DConditionModel, got 0 of m, a UNet"),
    ("UNet2DModel", {}, 2, r"tokens: wanted at least 1 of a UNet2DConditionModel, got 2 of m"),
    (KIND, {}, 10 ** 9, r"tokens: wanted 1\.\.65535 of m, 0 of them of an image, got 1000000000"),
    (KIND, {"encoder_hid_dim_type": "image_proj"}, 5, r"tokens: wanted 32\.\.32 of m, 32 of them"),
    (KIND, {"encoder_hid_dim_type": "text_image_proj"}, 10, r"tokens: wanted 11\.\.65535 of m"),
    (KIND, {"cross_attention_dim": [8, 9]}, 5, r"tokens: wanted none of m, which can have no"),
])
def test_impossible_tokens(kind, fields, tokens, text):
    with pytest.raises(ValueError, match=text):
        check_tokens("m", kind, fields, tokens)
