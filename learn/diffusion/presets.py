"""Sizes of the float models by name."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from hqdm.spec.plain import shown

MAX_LEVELS = 16         # of a UNet or an autoencoder, and layers of a level
MAX_SIZE = 1 << 16      # of anything else that is counted
UNET_CLASSES = ("UNet2DConditionModel", "UNet2DModel")      # of diffusers, that are understood


def check_sizes(where: str, fields: Mapping[str, Any]) -> None:
    """ValueError for fields of a model that no model has: they would take hours or all memory.

    Numbers are at most MAX_SIZE, lists and numbers of layers at most MAX_LEVELS long.
    """
    for name, value in fields.items():
        for number in _numbers(value):
            most = MAX_LEVELS if name == "blocks" or "layers" in name else MAX_SIZE
            if abs(number) > most:
                raise ValueError(f"{where}{shown(name)[1:-1]}: wanted at most {most}, got "
                                 f"{shown(number)}")
        if isinstance(value, list | tuple) and len(value) > MAX_LEVELS:
            raise ValueError(f"{where}{shown(name)[1:-1]}: wanted at most {MAX_LEVELS} levels, got "
                             f"{len(value)}")


def _numbers(value: Any) -> list[int]:
    if isinstance(value, list | tuple):
        return [number for item in value[:MAX_LEVELS] for number in _numbers(item)]
    return [value] if type(value) is int else []


def check_positive(where: str, fields: Mapping[str, Any]) -> None:
    """ValueError unless these fit `check_sizes` and all numbers are 1 or more."""
    check_sizes(where, fields)
    for name, value in fields.items():
        if min(_numbers(value), default=1) < 1 or value == ():
            raise ValueError(f"{where}{name}: wanted 1 or more, got {shown(value)}")


@dataclass(frozen=True, kw_only=True)
class AutoencoderPreset:
    """A `diffusers.AutoencoderKL` of images 3 x `size` x `size`.

    Each entry of `channels` but the last halves the image; `groups` of the normalisations.
    """

    name: str
    channels: tuple[int, ...]
    blocks: int
    latent_channels: int
    size: int
    groups: int

    def __post_init__(self) -> None:
        check_positive("autoencoder preset: ", asdict(self))

    @property
    def latent_size(self) -> int:
        """Width of the latents."""
        return self.size >> (len(self.channels) - 1)

    def to_dict(self) -> dict[str, Any]:
        """The fields, as JSON holds them."""
        return asdict(self) | {"channels": list(self.channels)}


@dataclass(frozen=True, kw_only=True)
class UNetPreset:
    """A class-conditional `diffusers.UNet2DConditionModel` on latents.

    `channels` and `attention` (spatial transformers or not) are per level; each level but the
    last halves the latents. Attention heads are of `head` channels; the class token has
    `context` channels; class number `classes` is the null class of classifier-free guidance.
    """

    name: str
    channels: tuple[int, ...]
    attention: tuple[bool, ...]
    blocks: int
    head: int
    groups: int
    context: int
    classes: int
    latent_channels: int
    latent_size: int

    def __post_init__(self) -> None:
        check_positive("unet preset: ", asdict(self))
        if len(self.channels) != len(self.attention):
            raise ValueError(f"unet preset: wanted attention of {len(self.channels)} levels, got "
                             f"{len(self.attention)}")

    def to_dict(self) -> dict[str, Any]:
        """The fields, as JSON holds them."""
        return asdict(self) | {"channels": list(self.channels), "attention": list(self.attention)}


AUTOENCODERS = {p.name: p for p in (
    AutoencoderPreset(name="cifar10", channels=(64, 128), blocks=1, latent_channels=4, size=32,
                      groups=16),
    AutoencoderPreset(name="cifar10-small", channels=(32, 64), blocks=1, latent_channels=4,
                      size=32, groups=8),
    AutoencoderPreset(name="tiny", channels=(8, 8), blocks=1, latent_channels=4, size=32,
                      groups=2),
)}
UNETS = {p.name: p for p in (
    UNetPreset(name="cifar10", channels=(64, 64, 128), attention=(False, True, True), blocks=1,
               head=32, groups=16, context=128, classes=10, latent_channels=4, latent_size=16),
    UNetPreset(name="cifar10-small", channels=(32, 64, 96), attention=(False, True, True),
               blocks=1, head=32, groups=16, context=96, classes=10, latent_channels=4,
               latent_size=16),
    UNetPreset(name="tiny", channels=(8, 8), attention=(False, True), blocks=1, head=4, groups=2,
               context=8, classes=10, latent_channels=4, latent_size=16),
)}
P = TypeVar("P")


def _by_name(kind: str, presets: dict[str, P], name: str) -> P:
    if name not in presets:
        raise ValueError(f"{kind} preset: wanted one of {', '.join(presets)}, got {name!r}")
    return presets[name]


def autoencoder_preset(name: str) -> AutoencoderPreset:
    """The preset called `name`; ValueError lists the names."""
    return _by_name("autoencoder", AUTOENCODERS, name)


def unet_preset(name: str) -> UNetPreset:
    """The preset called `name`; ValueError lists the names."""
    return _by_name("unet", UNETS, name)
