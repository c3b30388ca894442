"""Lowering: a diffusers UNet to the list of layers that golden, driver and cycle model read."""

from firmware.lowering.formats import Formats, mixed_formats
from firmware.lowering.quantised import lower_quantised
from firmware.lowering.unet import lower

__all__ = ["Formats", "lower", "lower_quantised", "mixed_formats"]
