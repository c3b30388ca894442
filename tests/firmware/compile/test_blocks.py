"""Blocks of diffusers: lowered, refused with the nearest that is, or unknown."""

import pytest
from diffusers.models.unets import unet_2d_blocks

from hqdm.firmware.compile.blocks import BLOCKS, DOWN, NEAREST, UP, check_block


def test_lowered_blocks_are_blocks():
    for block in (*BLOCKS, *NEAREST):
        assert hasattr(unet_2d_blocks, block)
    for block in BLOCKS:
        check_block("down_blocks.0", block)


def test_the_nearest_block_is_lowered():
    for block, (_, nearest) in NEAREST.items():
        assert nearest.partition(" ")[0] in (DOWN if "Down" in block else UP)


@pytest.mark.parametrize(("block", "text"), [
    ("SkipDownBlock2D", r"^up: SkipDownBlock2D is not lowered: its FIR filters .* Resnet"),
    ("DownBlok2D", r"^up: there is no block 'DownBlok2D' that is lowered: DownBlock2D\?"),
    ("Nothing", r"no block 'Nothing' that is lowered: one of DownBlock2D, CrossAttnDown"),
])
def test_others_are_named(block, text):
    with pytest.raises(ValueError, match=text):
        check_block("up", block)
