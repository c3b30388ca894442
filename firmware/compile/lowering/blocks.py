"""The convolutional parts of a diffusers UNet: residual block, resampling."""

from typing import Any

from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import nn

from hqdm.firmware.compile.lowering.builder import Builder
from hqdm.firmware.compile.lowering.folding import Constants
from hqdm.firmware.compile.lowering.prologue import PLAIN, Prologue, group_norm


def require(name: str, wanted: str, got: object, fine: bool) -> None:
    """ValueError unless `fine`."""
    if not fine:
        raise ValueError(f"{name}: wanted {wanted}, got {got}")


class Blocks:
    """Lowers one part after another into `builder`; every method returns the output's name.

    A strided convolution of padding 0 has a row and a column of zeros at the bottom and right. In a
    mirrored network, at an even size, that is the convolution of padding 1.
    """

    def __init__(self, builder: Builder, constants: Constants) -> None:
        self.builder, self.constants = builder, constants

    def resnet(self, block: ResnetBlock2D, sources: tuple[str, ...]) -> str:
        """Residual block: two normalised convolutions, time embedding, shortcut."""
        name = self.builder.name(block)
        # a constant factor is one of weights and affines; shapes do not change with it
        require(name, "output_scale_factor 1", block.output_scale_factor,
                block.output_scale_factor == 1 or self.builder.shapes)
        require(name, "the activation SiLU", block.nonlinearity,
                isinstance(block.nonlinearity, nn.SiLU))
        bias, scale_shift = self.constants.residual(block)
        steps = self.builder.timesteps
        first, upsample = group_norm(block.norm1, steps, "silu"), 1
        main = skip = sources
        if block.upsample is not None or block.downsample is not None:
            main, skip, first, upsample = self._resample(block, name, sources, first)
        hidden = self.builder.module(block.conv1, main, bias=bias, prologue=first,
                                     upsample=upsample)
        if block.conv_shortcut is not None:
            shortcut = self.builder.module(block.conv_shortcut, skip)
        else:
            require(name, "a shortcut convolution for two sources", "none", len(sources) == 1)
            shortcut = skip[0]
        return self.builder.module(block.conv2, (hidden,), second=shortcut,
                                   prologue=group_norm(block.norm2, steps, "silu", scale_shift))

    def _resample(self, block: ResnetBlock2D, name: str, sources: tuple[str, ...],
                  prologue: Prologue) -> tuple[tuple[str, ...], tuple[str, ...], Prologue, int]:
        """Sources of the first convolution and of the shortcut, prologue, upsampling.

        Pooling, and the doubled shortcut, are work of the host; doubling before the convolution
        is addressing. Only networks of shapes have it: the integer network does not pool.
        """
        require(name, "a residual block without resampling (only networks of shapes have it)",
                "one with it", self.builder.shapes)
        sampler = block.upsample if block.downsample is None else block.downsample
        require(name, "nearest upsampling or average pooling", type(sampler).__name__,
                isinstance(sampler, Upsample2D | Downsample2D) and not sampler.use_conv
                and len(sources) == 1)
        b, source = self.builder, self.builder.tensors[sources[0]]
        channels, height, width = source.channels, source.height, source.width
        if block.downsample is None:
            doubled = b.host(f"{name}.shortcut", "repeat", source.name,
                             (channels, 2 * height, 2 * width))
            return sources, (doubled,), prologue, 2
        half = (channels, height // 2, width // 2)
        main = b.host(f"{name}.pooled", "average", source.name, half, prologue.stages(1))
        skip = b.host(f"{name}.shortcut", "average", source.name, half)
        return (main,), (skip,), PLAIN, 1

    def downsample(self, block: Any, source: str) -> str:
        """Strided convolution, or a residual block that pools."""
        if isinstance(block, ResnetBlock2D):
            return self.resnet(block, (source,))
        name, turned = self.builder.name(block), self.builder.mirrored
        require(name, "a strided convolution with padding 0 or 1", f"{block}",
                isinstance(block, Downsample2D) and block.use_conv and block.norm is None
                and block.padding == 1 - turned)
        return self.builder.module(block.conv, (source,), padding=1)

    def upsample(self, block: Any, source: str) -> str:
        """Nearest upsampling and convolution in one layer, or a residual block that doubles."""
        if isinstance(block, ResnetBlock2D):
            return self.resnet(block, (source,))
        name = self.builder.name(block)
        require(name, "nearest upsampling with a convolution", type(block).__name__,
                isinstance(block, Upsample2D) and block.use_conv and block.interpolate
                and not block.use_conv_transpose and block.norm is None)
        return self.builder.module(block.conv, (source,), upsample=2)
