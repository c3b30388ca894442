"""Lowering: a diffusers UNet to the list of layers that golden, driver and cycle model read."""

from firmware.lowering.formats import Formats, mixed_formats
from firmware.lowering.unet import lower

__all__ = ["Formats", "lower", "mixed_formats"]
