"""The layers of a model that has no weights: shapes only, in a second."""

import json
from dataclasses import dataclass, fields
from typing import Any

from hqdm.firmware.catalogue.library import FOLDER, INTEGERS, ModelConfig, make_model
from hqdm.spec import Network
from hqdm.spec.plain import from_plain, to_plain

LAYERS = FOLDER / "layers"
EMBEDDINGS = ("time_embedding", "class_embedding", "add_embedding", "encoder_hid_proj")


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
    """A network without numbers, in the mixed format, for one timestep.

    Members
    -------
    config: what it was made of.
    network: the list of layers.
    parameters: of the diffusers model.
    folded: what became a constant; with `network.macs` all products of a call.
    """

    config: ModelConfig
    network: Network
    parameters: int
    folded: tuple[Folded, ...]


def shapes(config: ModelConfig, size: int | tuple[int, int] | None = None) -> Shapes:
    """The layers of the model of `config`, read from the package where they are listed there, or
    from the file of an integer network.

    Parameters
    ----------
    size: height and width of the latent; the configuration's by default.

    Raises
    ------
    ValueError: as `lower_shapes`.
    """
    if config.kind == INTEGERS:
        if size is not None:
            raise ValueError(f"size: wanted none, {config.path.name} has its own, got {size}")
        return read_integers(config)
    if size is None and config.tokens == 1 and config.path.parent == FOLDER:
        return read_listing(config)
    return lower_shapes(config, size)


def listing(found: Shapes) -> str:
    """The text of the file in LAYERS: one node or tensor a line."""
    plain = to_plain(found)
    del plain["config"]
    network = plain.pop("network")
    parts = [f'"{name}": {json.dumps(value)}' for name, value in (plain | network).items()
             if name not in ("nodes", "tensors")]
    for name in ("tensors", "nodes"):
        lines = ",\n".join(json.dumps(line) for line in network[name])
        parts.append(f'"{name}": [\n{lines}]')
    return "{" + ",\n".join(parts) + "}\n"


def read_listing(config: ModelConfig) -> Shapes:
    """The layers of a named model, as the package lists them: neither torch nor diffusers."""
    plain = json.loads((LAYERS / f"{config.name}.json").read_text())
    own = {f.name: plain.pop(f.name) for f in fields(Shapes) if f.name in plain}
    return Shapes(config=config, network=from_plain(Network, plain), parameters=own["parameters"],
                  folded=from_plain(tuple[Folded, ...], own["folded"]))


def read_integers(config: ModelConfig) -> Shapes:
    """The layers of an integer network; its parameters are the weights the core multiplies by.

    Raises
    ------
    ValueError: a damaged, altered or foreign file.
    """
    from hqdm.golden.network.network_file import load_network
    network = load_network(config.path)[0].network
    weights = sum(n.layer.multiply.out_channels * n.layer.depth for n in network.nodes
                  if n.weights is None)
    return Shapes(config=config, network=network, parameters=weights, folded=())


def lower_shapes(config: ModelConfig, size: int | tuple[int, int] | None = None) -> Shapes:
    """The layers of the model of `config`, from its modules on torch's meta device.

    Raises
    ------
    ValueError: a configuration diffusers does not take, a part that is not lowered, a size that
        the downsampling does not divide.
    """
    import torch

    from hqdm.firmware.compile.lowering.unet import lower
    model = make_model(config)
    width = getattr(model.config, "cross_attention_dim", None)
    contexts = None
    if width is not None:
        width = width if isinstance(width, int) else max(width)
        contexts = torch.empty(1, config.tokens, width, device="meta")
    network = lower(model, (0,), contexts=contexts, size=size, name=config.name).network
    return Shapes(config=config, network=network, folded=_folded(model, network, config.tokens),
                  parameters=sum(p.numel() for p in model.parameters()))


def _linear(module: Any) -> int:
    """Products of the linear layers of `module`, for one row."""
    from torch import nn
    return sum(m.in_features * m.out_features for m in module.modules()
               if isinstance(m, nn.Linear))


def _folded(model: Any, network: Network, tokens: int) -> tuple[Folded, ...]:
    """Time embedding and cross-attention."""
    embedding = sum(_linear(part) for name, part in model.named_modules()
                    if name in EMBEDDINGS or name.endswith("time_emb_proj"))
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
