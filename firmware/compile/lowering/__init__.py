"""Lowering: a diffusers UNet to the list of layers that golden, driver and cycle model read."""

from hqdm.firmware.compile.lowering.quantised import lower_quantised
from hqdm.firmware.compile.lowering.unet import lower

__all__ = ["lower", "lower_quantised"]
