"""Sizes of the float models by name."""

from dataclasses import asdict, dataclass
from typing import Any, TypeVar

UNET_CLASSES = ("UNet2DConditionModel", "UNet2DModel")      # of diffusers, that are understood


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
