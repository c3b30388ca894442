"""Products and parameters of a diffusers model, counted by torch as it runs on the meta device.

Nothing of this project is asked: not its lowering, not its list of what is folded.
"""

from typing import Any

import diffusers
import torch
from torch.utils.flop_counter import FlopCounterMode


def _empty(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


def _inputs(config: Any, tokens: int | None, model: Any) -> dict[str, Any]:
    """What a model wants beside latent and timestep."""
    inputs: dict[str, Any] = {}
    kind = config.get("class_embed_type")
    if config.get("num_class_embeds") is not None or kind == "timestep":
        inputs["class_labels"] = torch.zeros(1, dtype=torch.int64, device="meta")
    elif kind in ("projection", "simple_projection"):
        inputs["class_labels"] = _empty(1, config.projection_class_embeddings_input_dim)
    elif kind == "identity":
        inputs["class_labels"] = _empty(1, model.time_embedding.linear_2.out_features)
    if "cross_attention_dim" not in config:
        return inputs
    if config.time_cond_proj_dim is not None:
        inputs["timestep_cond"] = _empty(1, config.time_cond_proj_dim)
    inputs["encoder_hidden_states"] = None
    added = inputs["added_cond_kwargs"] = {}
    image = {"text_image_proj": 10, "image_proj": 32}.get(config.encoder_hid_dim_type, 0)
    if tokens is not None and tokens > image:
        width = config.encoder_hid_dim or config.cross_attention_dim
        width = width if isinstance(width, int) else width[0]
        inputs["encoder_hidden_states"] = _empty(1, tokens - image, width)
    if config.addition_embed_type == "text_time":
        vectors = 6 * config.addition_time_embed_dim
        added |= {"text_embeds": _empty(1, config.projection_class_embeddings_input_dim - vectors),
                  "time_ids": _empty(1, 6)}
    elif config.addition_embed_type == "text_image":
        added["text_embeds"] = _empty(1, config.cross_attention_dim)
    if config.encoder_hid_dim_type in ("text_image_proj", "image_proj"):
        wide = config.encoder_hid_dim_type == "image_proj"
        added["image_embeds"] = _empty(
            1, config.encoder_hid_dim if wide else config.cross_attention_dim)
    return inputs


def count(fields: dict[str, Any], size: tuple[int, int], tokens: int | None) -> tuple[int, int]:
    """(products, parameters) of one call for one image."""
    kind = getattr(diffusers, fields["_class_name"])
    with torch.device("meta"):
        model = kind(**{n: v for n, v in fields.items() if not n.startswith("_")}).eval()
    timestep = torch.zeros(1, dtype=torch.int64, device="meta")
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(_empty(1, model.config.in_channels, *size), timestep,
              **_inputs(model.config, tokens, model))
    return counter.get_total_flops() // 2, sum(p.numel() for p in model.parameters())
