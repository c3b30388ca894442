"""Models by name: diffusers configuration files of this folder, or any file of that form."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hqdm.firmware.catalogue.context import check_tokens, context
from hqdm.firmware.catalogue.document import find_file, read_object, title
from hqdm.firmware.catalogue.fields import check_fields
from hqdm.learn.diffusion.presets import UNET_CLASSES

FOLDER = Path(__file__).parent
INTEGERS = "integers"       # kind of a file of hqdm lower: layers in their own formats
ABOUT = {"about": str, "guidance": bool, "heads": int, "tokens": int, "rotate": str}
AXES = ("width", "channel", "none")     # of a rotation of convolutions


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What a configuration file says.

    Parameters
    ----------
    path: the file.
    name: of the model, or of the file without its ending.
    kind: one of UNET_CLASSES, or INTEGERS.
    fields: arguments of that class; none of an integer network.
    about: one line for people.
    guidance: whether an image takes two calls a step (classifier-free guidance).
    heads: of every attention, where one number of channels per head cannot say it; or None.
    tokens: of the context; to one token, cross-attention is a constant; None without a context.
    assumed: what was assumed about the context, as nothing says it: a line for people.
    rotate: axis of the rotation of convolutions where none is asked for.
    """

    path: Path
    name: str
    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""
    guidance: bool = False
    heads: int | None = None
    tokens: int | None = None
    assumed: str = ""
    rotate: str = "width"


def names() -> tuple[str, ...]:
    """The models that come with the package."""
    return tuple(sorted(p.stem for p in FOLDER.glob("*.json")))


def read_model(model: str) -> ModelConfig:
    """The configuration of a known name, of the diffusers UNet configuration file `model` (or of a
    folder that has one), or of an integer network (`hqdm lower`), which ends in .safetensors.

    Raises
    ------
    ValueError: neither a name nor a file, or one that does not describe a UNet.
    """
    path = FOLDER / f"{model}.json" if model in names() else find_file(model)
    if path is None:
        raise ValueError(f"model: wanted one of {', '.join(names())}, a diffusers UNet "
                         f"configuration file or an integer network, got {model!r}")
    if path.suffix == ".safetensors":
        return ModelConfig(path=path, name=path.stem, kind=INTEGERS)
    return _checked(path, read_object(path))


def with_tokens(config: ModelConfig, tokens: int | None) -> ModelConfig:
    """`config` with so many context tokens, unless that is None.

    Raises
    ------
    ValueError: less than one or too many, or a model without context.
    """
    if tokens is None:
        return config
    check_tokens(config.name, config.kind, config.fields, tokens)
    return replace(config, tokens=tokens, assumed="")


def _checked(path: Path, plain: Any) -> ModelConfig:
    """What the JSON of `path` says."""
    wanted = f"a _class_name of {' or '.join(UNET_CLASSES)}"
    if not isinstance(plain, dict):
        raise ValueError(f"{path}: wanted an object with {wanted}, got {type(plain).__name__}")
    kind = plain.get("_class_name")
    if not isinstance(kind, str) or kind not in UNET_CLASSES:
        hint = "; of a pipeline's folder give unet/config.json" if str(kind).endswith(
            "Pipeline") else ""
        raise ValueError(f"{path}: wanted {wanted}, got {kind!r}{hint}")
    own = plain.get("hqdm", {})
    for name, value in own.items() if isinstance(own, dict) else ((repr(own), None),):
        if name not in ABOUT or type(value) is not ABOUT[name] or (
                type(value) is int and value < 1) or (name == "rotate" and value not in AXES):
            wanted = ", ".join(f"{n} ({t.__name__})" for n, t in ABOUT.items())
            raise ValueError(f"{path}: wanted hqdm to hold {wanted}, got {name}: {value!r}")
    name = title(path)
    fields = check_fields(name, kind, {
        n: v for n, v in plain.items() if not n.startswith("_") and n != "hqdm"})
    found = context(kind, fields)
    config = ModelConfig(
        path=path, name=name, kind=kind, fields=fields, tokens=found.tokens, assumed=found.assumed,
        **{"guidance": kind == "UNet2DConditionModel"}
        | {n: v for n, v in own.items() if n != "tokens"})
    return with_tokens(config, own.get("tokens"))


def make_model(config: ModelConfig) -> Any:
    """The diffusers model on torch's meta device: shapes, no numbers.

    Raises
    ------
    ValueError: fields or values that the class does not take.
    """
    import diffusers
    import torch
    kind = getattr(diffusers, config.kind)
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")     # of layers without channels, refused later
            model = kind(**config.fields)
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, AssertionError,
            RuntimeError) as error:
        raise ValueError(f"{config.name}: wanted a configuration that {config.kind} takes, got "
                         f"{type(error).__name__}: {' '.join(str(error).split())}") from error
    if config.heads is not None:
        _set_heads(model, config)
    return model.eval()


def _set_heads(model: Any, config: ModelConfig) -> None:
    """As many heads in every attention, whatever its channels."""
    from diffusers.models.attention_processor import Attention
    assert config.heads is not None
    for name, module in model.named_modules():
        if not isinstance(module, Attention):
            continue
        if module.inner_dim % config.heads:
            raise ValueError(f"{name}: wanted channels in {config.heads} heads, got "
                             f"{module.inner_dim}")
        module.heads = config.heads
        module.scale = (module.inner_dim // config.heads) ** -0.5
