"""What a field of a diffusers UNet configuration may be: a table of names, types and ranges."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Any

from hqdm.firmware.compile.blocks import NEAREST, check_block

BLOCKS = 16             # levels of a UNet
PARTS = 400             # residual and transformer blocks of all levels
CHANNELS = 65535
EMA = frozenset({       # what diffusers' EMAModel adds to the fields of the model it saves
    "decay", "inv_gamma", "min_decay", "optimization_step", "power", "update_after_step",
    "use_ema_warmup"})


@dataclass(frozen=True)
class Rule:
    """What a value may be: in words, and as a test."""

    text: str
    takes: Callable[[Any], bool]


def integer(low: int, high: int) -> Rule:
    """An int, not a bool."""
    return Rule(f"an integer in {low}..{high}", lambda v: type(v) is int and low <= v <= high)


def number(low: float, high: float) -> Rule:
    """An int or a float that is finite."""
    return Rule(f"a number in {low:g}..{high:g}", lambda v: type(v) in (int, float)
                and isfinite(v) and low <= v <= high)


def one_of(*values: str) -> Rule:
    """One of a few texts."""
    return Rule(" or ".join(map(repr, values)), lambda v: isinstance(v, str) and v in values)


def or_null(rule: Rule) -> Rule:
    """What `rule` says, or none."""
    return Rule(f"{rule.text} or null", lambda v: v is None or rule.takes(v))


def listed(rule: Rule) -> Rule:
    """One for every level."""
    return Rule(f"a list of {rule.text}", lambda v: isinstance(v, list)
                and 1 <= len(v) <= BLOCKS and all(map(rule.takes, v)))


def each(rule: Rule) -> Rule:
    """One for all levels, or one for every level."""
    several = listed(rule)
    return Rule(f"{rule.text}, or a list of them", lambda v: rule.takes(v) or several.takes(v))


FLAG = Rule("true or false", lambda v: type(v) is bool)
TEXT = Rule("a text", lambda v: isinstance(v, str))
WIDTH = integer(1, CHANNELS)
LAYERS = integer(1, 64)
DEPTHS = integer(0, 256)
SIDE = integer(1, CHANNELS)
COMMON = {
    "sample_size": or_null(Rule(f"{SIDE.text}, or height and width", lambda v: SIDE.takes(v) or (
        isinstance(v, list) and len(v) == 2 and all(map(SIDE.takes, v))))),
    "in_channels": WIDTH, "out_channels": WIDTH, "center_input_sample": FLAG,
    "time_embedding_dim": or_null(WIDTH), "freq_shift": number(-1e6, 1e6),
    "flip_sin_to_cos": FLAG, "down_block_types": listed(TEXT), "mid_block_type": or_null(TEXT),
    "up_block_types": listed(TEXT), "block_out_channels": listed(WIDTH),
    "mid_block_scale_factor": number(1e-3, 1e3), "downsample_padding": integer(0, 1),
    "dropout": number(0, 1), "act_fn": one_of("silu", "swish"),
    "norm_num_groups": or_null(WIDTH), "norm_eps": number(0, 1),
    "resnet_time_scale_shift": one_of("default", "scale_shift"),
    "num_class_embeds": or_null(integer(1, 10 ** 9)),
}
TABLE = {
    "UNet2DModel": COMMON | {
        "time_embedding_type": one_of("positional", "fourier", "learned"),
        "layers_per_block": LAYERS, "downsample_type": or_null(one_of("conv", "resnet")),
        "upsample_type": or_null(one_of("conv", "resnet")), "attention_head_dim": or_null(WIDTH),
        "attn_norm_num_groups": or_null(WIDTH), "add_attention": FLAG,
        "class_embed_type": or_null(one_of("timestep", "identity")),
        "num_train_timesteps": or_null(integer(1, 10 ** 9)),
    },
    "UNet2DConditionModel": COMMON | {
        "time_embedding_type": one_of("positional", "fourier"),
        "layers_per_block": each(LAYERS), "only_cross_attention": each(FLAG),
        "cross_attention_dim": or_null(each(WIDTH)), "attention_head_dim": each(WIDTH),
        "num_attention_heads": or_null(each(WIDTH)),
        "transformer_layers_per_block": each(each(DEPTHS)),
        "reverse_transformer_layers_per_block": or_null(listed(each(DEPTHS))),
        "encoder_hid_dim": or_null(WIDTH), "dual_cross_attention": or_null(FLAG),
        "encoder_hid_dim_type": or_null(one_of("text_proj", "text_image_proj", "image_proj")),
        "use_linear_projection": FLAG, "upcast_attention": or_null(FLAG),
        "class_embed_type": or_null(
            one_of("timestep", "identity", "projection", "simple_projection")),
        "addition_embed_type": or_null(one_of("text", "text_image", "text_time", "image")),
        "addition_time_embed_dim": or_null(WIDTH),
        "addition_embed_type_num_heads": WIDTH,
        "projection_class_embeddings_input_dim": or_null(WIDTH),
        "class_embeddings_concat": FLAG, "resnet_skip_time_act": FLAG,
        "resnet_out_scale_factor": number(1e-3, 1e3),
        "time_embedding_act_fn": or_null(one_of("silu", "swish", "mish", "gelu", "relu")),
        "timestep_post_act": or_null(one_of("silu", "swish", "mish", "gelu", "relu")),
        "time_cond_proj_dim": or_null(WIDTH), "conv_in_kernel": integer(1, 99),
        "conv_out_kernel": integer(1, 99), "attention_type": TEXT,
        "mid_block_only_cross_attention": or_null(FLAG),
        "cross_attention_norm": or_null(one_of("layer_norm", "group_norm")),
    },
}
LOWERED = {     # what is a value of diffusers and not lowered: the nearest that is
    "attention_type": ("default", 'as it is run without boxes, the network has "default"'),
    "dual_cross_attention": (False, "the same network with one transformer has false"),
}


def check_fields(name: str, kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """`fields` of the class `kind` without those of an average that `EMAModel` has saved.

    Raises
    ------
    ValueError: unknown names; a value of another type, out of range or not lowered; more parts
        than anyone builds.
    """
    table = TABLE[kind]
    own = {n: v for n, v in fields.items() if n not in EMA}
    unknown = [n for n in own if n not in table]
    if unknown:
        raise ValueError(f"{name}: unknown {', '.join(_guess(n, table) for n in unknown)}: remove "
                         f"or correct what {kind} of diffusers does not have")
    for field, value in own.items():
        if not table[field].takes(value):
            raise ValueError(f"{name}: {field}: wanted {table[field].text}, got {_short(value)}")
        if field in LOWERED and value not in (LOWERED[field][0], None):
            raise ValueError(f"{name}: {field} {value!r} is not lowered: {LOWERED[field][1]}")
    for field in ("down_block_types", "mid_block_type", "up_block_types"):
        for block in _several(own.get(field), 1):
            if block in NEAREST:
                check_block(f"{name}: {field}", block)
    _check_lists(name, own)
    return own


def _guess(name: str, table: Mapping[str, Rule]) -> str:
    near = get_close_matches(name, table, 1)
    return f"{_short(name)[1:-1]} ({near[0]}?)" if near else _short(name)[1:-1]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _several(value: Any, levels: int) -> list[Any]:
    """`value` for every level; nothing if it is None."""
    return value if isinstance(value, list) else [] if value is None else [value] * levels


def _check_lists(name: str, fields: Mapping[str, Any]) -> None:
    """As many numbers as levels, and not too many parts."""
    levels = len(fields.get("down_block_types", ())) or 4
    for field in ("layers_per_block", "transformer_layers_per_block", "only_cross_attention",
                  "attention_head_dim", "cross_attention_dim",
                  "reverse_transformer_layers_per_block"):
        value = fields.get(field)
        if isinstance(value, list) and len(value) != levels:
            raise ValueError(f"{name}: {field}: wanted {levels} numbers, one a level, got "
                             f"{len(value)}")
    layers = _several(fields.get("layers_per_block", 2), levels)
    depths = [max(_several(d, 1)) for d in _several(
        fields.get("transformer_layers_per_block", 1), levels)]
    parts = sum(2 * (n + 1) * (d + 1) for n, d in zip(layers, depths, strict=True))
    if parts > PARTS:
        raise ValueError(f"{name}: wanted at most {PARTS} residual and transformer blocks, got "
                         f"{parts} of layers_per_block and transformer_layers_per_block")
