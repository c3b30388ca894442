"""Products of a model that no layer does, as they depend on neither the image nor its pixels."""

from typing import Any

from diffusers.models.attention_processor import Attention
from diffusers.models.embeddings import (
    ImageProjection,
    TextImageProjection,
    TextTimeEmbedding,
)
from torch import nn

from hqdm.spec import Network
from hqdm.spec.shapes import Folded


def folded_products(model: Any, network: Network, tokens: int | None) -> tuple[Folded, ...]:
    """Time embedding, context, cross-attention of a diffusers `model` of which `network` is left.

    Parameters
    ----------
    tokens: of the context, None if there is none.
    """
    projection = getattr(model, "encoder_hid_proj", None)
    text = (tokens or 0) - (projection.num_image_text_embeds if isinstance(
        projection, TextImageProjection) else 0)
    embedding = sum(_linear(part) for name, part in model.named_modules()
                    if name in ("time_embedding", "class_embedding")
                    or name.endswith("time_emb_proj"))
    added = getattr(model, "add_embedding", None)
    found = [Folded(what="time embedding", macs=embedding + _added(added, text))]
    if projection is not None:
        found.append(Folded(what="projection of the context", macs=_projected(projection, text)))
    if tokens is not None:
        found += _cross_attention(model, network, tokens)
    return tuple(found)


def _linear(*modules: Any) -> int:
    """Products of the linear layers in `modules`, for one row."""
    return sum(m.in_features * m.out_features for module in modules if module is not None
               for m in module.modules() if isinstance(m, nn.Linear))


def _added(embedding: Any, text: int) -> int:
    """Products of what is added to the time embedding; `text` rows are pooled by attention."""
    if not isinstance(embedding, TextTimeEmbedding):
        return _linear(embedding)
    pool, rows = embedding.pool, text + 1
    products = 2 * rows * pool.q_proj.out_features
    return (_linear(embedding.proj, pool.q_proj) + rows * _linear(pool.k_proj, pool.v_proj)
            + products)


def _projected(projection: Any, text: int) -> int:
    """Products of what makes the context: a row for each token of text, one for an image."""
    if isinstance(projection, ImageProjection):
        return _linear(projection)
    if isinstance(projection, TextImageProjection):
        return _linear(projection.image_embeds) + text * _linear(projection.text_proj)
    return text * _linear(projection)


def _cross_attention(model: Any, network: Network, tokens: int) -> list[Folded]:
    """Keys and values of the context, or all of the attention to one token."""
    pixels = {t.name: t.pixels for t in network.tensors}
    found = [_attention(name, m, pixels, tokens) for name, m in model.named_modules()
             if isinstance(m, Attention) and (
                 m.is_cross_attention or m.added_kv_proj_dim is not None)]
    if not found:
        return []
    names = tuple(f"{name}." for name, _ in found)
    kept = sum(n.layer.macs for n in network.nodes if n.layer.name.startswith(names))
    what = "keys and values of the context" if kept else "cross-attention to one token"
    return [Folded(what=what, macs=sum(macs for _, macs in found) - kept)]


def _attention(name: str, attention: Any, pixels: dict[str, int], tokens: int) -> tuple[str, int]:
    """(name, all products) of one attention to a context."""
    if attention.added_kv_proj_dim is None:
        block = name.rpartition(".")[0]
        queries, keys = pixels[f"{block}.ff.net.2"], tokens
        own, other = [], [attention.to_k, attention.to_v]
    else:
        queries = keys = pixels[f"{name}.to_q"]
        own, other = [attention.to_k, attention.to_v], [attention.add_k_proj, attention.add_v_proj]
        if attention.only_cross_attention:
            own, keys = [], 0
        keys += tokens
    rows = queries * _linear(attention.to_q, attention.to_out[0], *own) + tokens * _linear(*other)
    return name, rows + 2 * queries * keys * attention.inner_dim
