"""Which blocks of diffusers' UNets are lowered, and what comes nearest to those that are not."""

from difflib import get_close_matches

DOWN = ("DownBlock2D", "CrossAttnDownBlock2D", "AttnDownBlock2D", "ResnetDownsampleBlock2D",
        "SimpleCrossAttnDownBlock2D")
MID = ("UNetMidBlock2D", "UNetMidBlock2DCrossAttn", "UNetMidBlock2DSimpleCrossAttn")
UP = ("UpBlock2D", "CrossAttnUpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D",
      "SimpleCrossAttnUpBlock2D")
BLOCKS = (*DOWN, *MID, *UP)
_FIR = "its FIR filters and the image beside the network are not lowered"
_GROUPS = "its normalisation by the time embedding is not lowered"
NEAREST = {     # block: (why not, the nearest that is)
    "SkipDownBlock2D": (_FIR, "ResnetDownsampleBlock2D"),
    "AttnSkipDownBlock2D": (_FIR, 'AttnDownBlock2D with downsample_type "resnet"'),
    "SkipUpBlock2D": (_FIR, "ResnetUpsampleBlock2D"),
    "AttnSkipUpBlock2D": (_FIR, 'AttnUpBlock2D with upsample_type "resnet"'),
    "KDownBlock2D": (_GROUPS, "ResnetDownsampleBlock2D"),
    "KUpBlock2D": (_GROUPS, "ResnetUpsampleBlock2D"),
    "KCrossAttnDownBlock2D": (_GROUPS, "CrossAttnDownBlock2D"),
    "KCrossAttnUpBlock2D": (_GROUPS, "CrossAttnUpBlock2D"),
    "DownEncoderBlock2D": ("it is of an autoencoder", "DownBlock2D"),
    "AttnDownEncoderBlock2D": ("it is of an autoencoder", "AttnDownBlock2D"),
    "UpDecoderBlock2D": ("it is of an autoencoder", "UpBlock2D"),
    "AttnUpDecoderBlock2D": ("it is of an autoencoder", "AttnUpBlock2D")}


def check_block(where: str, block: str, allowed: tuple[str, ...] = BLOCKS) -> None:
    """ValueError that names `where`, `block` and the nearest of `allowed`, unless it is one."""
    if block in allowed:
        return
    if block in NEAREST:
        why, nearest = NEAREST[block]
        raise ValueError(f"{where}: {block} is not lowered: {why}; the nearest that is: {nearest}")
    near = get_close_matches(block, allowed, 1)
    hint = f"{near[0]}?" if near else f"one of {', '.join(allowed)}"
    raise ValueError(f"{where}: there is no block {block!r} that is lowered: {hint}")
