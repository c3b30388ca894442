"""How many tokens a model attends to, as far as its configuration tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TEXT_WIDTHS = (768, 1024, 1280, 2048)   # of the text encoders of Stable Diffusion 1, 2, XL
TEXT_TOKENS = 77                        # of those encoders
IMAGE_TOKENS = {"text_image_proj": 10, "image_proj": 32}    # made of one image embedding
MOST = 65535
DOWN = ("CrossAttnDownBlock2D",)        # of diffusers' defaults
SAY = "--tokens says otherwise"


@dataclass(frozen=True, kw_only=True)
class Context:
    """What cross-attention attends to.

    Members
    -------
    tokens: how many; None: there is no context, and attention that could have one is to the image.
    assumed: what was assumed about it, a line for people; nothing if the configuration says it.
    """

    tokens: int | None
    assumed: str = ""


def context(kind: str, fields: Mapping[str, Any]) -> Context:
    """The context of the class `kind` with `fields`, which do not say how many tokens it has."""
    width = fields.get("cross_attention_dim", 1280)
    if kind != "UNet2DConditionModel" or width is None:
        return Context(tokens=None)
    widths = set(width) if isinstance(width, list) else {width}
    if len(widths) > 1:
        return Context(tokens=None, assumed="no context assumed, as it would have several widths: "
                                            "cross-attention is to the image")
    if not _attends(fields):
        return Context(tokens=1)
    projection = fields.get("encoder_hid_dim_type")
    if projection == "image_proj":
        return Context(tokens=IMAGE_TOKENS[projection])
    tokens = TEXT_TOKENS + IMAGE_TOKENS.get(projection or "", 0)
    if projection or fields.get("encoder_hid_dim") or widths <= set(TEXT_WIDTHS):
        also = f" and {tokens - TEXT_TOKENS} of an image" if tokens > TEXT_TOKENS else ""
        return Context(tokens=tokens, assumed=f"{TEXT_TOKENS} tokens of text{also} assumed, {SAY}")
    return Context(tokens=1, assumed=f"1 token of context assumed, to which cross-attention is a "
                                     f"constant, {SAY}")


def _attends(fields: Mapping[str, Any]) -> bool:
    """Whether any block has cross-attention."""
    blocks = [*fields.get("down_block_types", DOWN), *fields.get("up_block_types", DOWN),
              fields.get("mid_block_type", "UNetMidBlock2DCrossAttn") or ""]
    return any("CrossAttn" in block for block in blocks)


def check_tokens(name: str, kind: str, fields: Mapping[str, Any], tokens: int) -> None:
    """ValueError unless the model called `name` can have so many."""
    if tokens < 1 or kind != "UNet2DConditionModel":
        raise ValueError(f"tokens: wanted at least 1 of a UNet2DConditionModel, got {tokens} of "
                         f"{name}, a {kind}")
    projection = fields.get("encoder_hid_dim_type") or ""
    own = IMAGE_TOKENS.get(projection, 0)
    low, high = (own, own) if projection == "image_proj" else (own + 1, MOST)
    if not low <= tokens <= high:
        raise ValueError(f"tokens: wanted {low}..{high} of {name}, {own} of them of an image, got "
                         f"{tokens}")
    if context(kind, fields).tokens is None:
        raise ValueError(f"tokens: wanted none of {name}, which can have no context, got {tokens}")
