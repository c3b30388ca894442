"""The layers of a model that has no weights: shapes only, in a second."""

import json
from dataclasses import replace
from typing import Any, cast

from hqdm.firmware.catalogue.library import (
    AXES,
    FOLDER,
    INTEGERS,
    ModelConfig,
    make_model,
    read_model,
)
from hqdm.spec import Network
from hqdm.spec.layer import Axis
from hqdm.spec.plain import from_plain, to_plain
from hqdm.spec.precision import Formats, with_formats
from hqdm.spec.shapes import Folded, Shapes, shapes_of

LAYERS = FOLDER / "layers"


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
    if size is None and config.path.parent == FOLDER and config == read_model(config.name):
        return read_listing(config)
    return lower_shapes(config, size)


def in_formats(found: Shapes, config: ModelConfig, *, weight_bits: int | None = None,
               activation_bits: int | None = None, rotate: str | None = None,
               order: int | None = None) -> Shapes:
    """The layers `found` of the model of `config` in other bits and rotations; an integer network
    has its own and takes none.

    Parameters
    ----------
    weight_bits, activation_bits: 4 by default. order: log2 of the rotation block, 5 by default.
    rotate: axis of the rotation of convolutions, by default the model's; linear layers rotate along
        channels, or not at all with "none".

    Raises
    ------
    ValueError: a value out of range, or any for an integer network.
    """
    asked = {"weight_bits": weight_bits, "activation_bits": activation_bits, "order": order}
    given: dict[str, Any] = {name: v for name, v in asked.items() if v is not None}
    if config.kind == INTEGERS:
        if names := [*given, *(["rotate"] if rotate is not None else [])]:
            raise ValueError(f"--model: wanted no bits or rotation beside an integer network, "
                             f"which has its own, got {', '.join(names)}")
        return found
    axis = config.rotate if rotate is None else rotate
    if axis not in AXES:
        raise ValueError(f"rotate: wanted {', '.join(AXES[:-1])} or {AXES[-1]}, got {axis!r}")
    return replace(found, network=with_formats(found.network, Formats(
        convolution=cast(Axis, axis), linear="none" if axis == "none" else "channel", **given)))


def listing(found: Shapes) -> str:
    """The text of the file in LAYERS: one node or tensor a line."""
    network = to_plain(found.network)
    head = {"parameters": found.parameters, "folded": to_plain(found.folded)}
    parts = [f'"{name}": {json.dumps(value)}' for name, value in (head | network).items()
             if name not in ("nodes", "tensors")]
    for name in ("tensors", "nodes"):
        lines = ",\n".join(json.dumps(line) for line in network[name])
        parts.append(f'"{name}": [\n{lines}]')
    return "{" + ",\n".join(parts) + "}\n"


def read_listing(config: ModelConfig) -> Shapes:
    """The layers of a named model, as the package lists them: neither torch nor diffusers."""
    plain = json.loads((LAYERS / f"{config.name}.json").read_text())
    parameters, folded = plain.pop("parameters"), plain.pop("folded")
    return _described(config, from_plain(Network, plain), parameters,
                      from_plain(tuple[Folded, ...], folded))


def _described(config: ModelConfig, network: Network, parameters: int, folded: tuple[Folded, ...],
               ) -> Shapes:
    return Shapes(name=config.name, network=network, parameters=parameters, folded=folded,
                  about=config.about, guidance=config.guidance, tokens=config.tokens,
                  assumed=config.assumed)


def read_integers(config: ModelConfig) -> Shapes:
    """The layers of an integer network.

    Raises
    ------
    ValueError: a damaged, altered or foreign file.
    """
    from hqdm.golden.network.network_file import load_network
    found, about = load_network(config.path)
    return shapes_of(found.network, config.name,
                     bool(about.get("null_class", found.network.classes > 1)))


def lower_shapes(config: ModelConfig, size: int | tuple[int, int] | None = None) -> Shapes:
    """The layers of the model of `config`, from its modules on torch's meta device.

    Raises
    ------
    ValueError: a configuration diffusers does not take, a part that is not lowered, a size that
        the downsampling does not divide.
    """
    import torch

    from hqdm.firmware.catalogue.folded import folded_products
    from hqdm.firmware.compile.lowering.unet import lower
    model, contexts = make_model(config), None
    if config.tokens is not None:
        width = model.config.cross_attention_dim
        width = width if isinstance(width, int) else width[0]
        contexts = torch.empty(1, config.tokens, width, device="meta")
    network = lower(model, (0,), contexts=contexts, size=size, name=config.name).network
    return _described(config, network, sum(p.numel() for p in model.parameters()),
                      folded_products(model, network, config.tokens))

