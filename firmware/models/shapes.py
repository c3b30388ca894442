"""The layers of a model that has no weights: shapes only, in a second."""

from dataclasses import dataclass
from typing import Any

from firmware.lowering.formats import Formats
from firmware.models.library import ModelConfig, make_model
from spec import Network


@dataclass(frozen=True, kw_only=True)
class Folded:
    """Products of the model that no layer does, because they do not depend on the image.

    Parameters
    ----------
    what: they are part of.
    macs: of one call for one image, had they not been folded.
    """

    what: str
    macs: int


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """A network without numbers.

    Members
    -------
    network: the list of layers, for one timestep.
    parameters: of the diffusers model.
    folded: what became a constant; with `network.macs` all products of a call.
    """

    config: ModelConfig
    network: Network
    parameters: int
    folded: tuple[Folded, ...]


def shapes(config: ModelConfig, *, size: int | tuple[int, int] | None = None,
           formats: Formats | None = None) -> Shapes:
    """The layers of the model of `config`.

    Parameters
    ----------
    size: height and width of the latent; the configuration's by default.
    formats: bits and rotation by module, as `firmware.lowering.lower` takes them.

    Raises
    ------
    ValueError: a configuration diffusers does not take, a part that is not lowered, a size that
        the downsampling does not divide.
    """
    import torch

    from firmware.lowering.unet import lower
    model = make_model(config)
    width = getattr(model.config, "cross_attention_dim", None)
    contexts = None
    if width is not None:
        width = width if isinstance(width, int) else max(width)
        contexts = torch.empty(1, config.tokens, width, device="meta")
    network = lower(model, (0,), contexts=contexts, size=size, formats=formats,
                    name=config.name).network
    return Shapes(config=config, network=network, folded=_folded(model, network, config.tokens),
                  parameters=sum(p.numel() for p in model.parameters()))


def _linear(module: Any) -> int:
    """Products of the linear layers of `module`, for one row."""
    from torch import nn
    return sum(m.in_features * m.out_features for m in module.modules()
               if isinstance(m, nn.Linear))


def _folded(model: Any, network: Network, tokens: int) -> tuple[Folded, ...]:
    """Time embedding and cross-attention."""
    embedding = sum(_linear(part) for name, part in model.named_modules() if name in (
        "time_embedding", "class_embedding", "add_embedding") or name.endswith("time_emb_proj"))
    found = [Folded(what="time embedding", macs=embedding)]
    blocks = [(name, m) for name, m in model.named_modules() if name.endswith(".attn2")]
    if blocks:
        pixels = {t.name: t.pixels for t in network.tensors}
        kept = sum(n.layer.macs for n in network.nodes if ".attn2." in n.layer.name)
        total = sum(_attention(m, pixels[f"{name.removesuffix('2')}1.to_q"], tokens)
                    for name, m in blocks)
        what = "cross-attention to one token" if tokens == 1 else "keys and values of the context"
        found.append(Folded(what=what, macs=total - kept))
    return tuple(found)


def _attention(attention: Any, queries: int, tokens: int) -> int:
    """Products of one attention to a context."""
    projected = sum(_linear(m) * rows for m, rows in (
        (attention.to_q, queries), (attention.to_k, tokens), (attention.to_v, tokens),
        (attention.to_out[0], queries)))
    return projected + 2 * queries * tokens * attention.inner_dim
