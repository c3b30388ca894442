"""The parts of a diffusers UNet: residual block, attention, transformer, resampling."""

from typing import Any

import torch
from diffusers.models.activations import GEGLU
from diffusers.models.attention import BasicTransformerBlock, FeedForward
from diffusers.models.attention_processor import Attention
from diffusers.models.downsampling import Downsample2D
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn

from firmware.lowering.builder import PLAIN, Builder, Prologue
from firmware.lowering.constants import Constants
from spec.stages import TABLE_EXPONENT, Function, Table


def table(function: Function) -> Table:
    """SiLU or GELU at the default exponents; calibration widens the range where it must."""
    return Table(function=function, in_exponent=TABLE_EXPONENT, out_exponent=TABLE_EXPONENT)


def require(name: str, wanted: str, got: object, fine: bool) -> None:
    """ValueError unless `fine`."""
    if not fine:
        raise ValueError(f"{name}: wanted {wanted}, got {got}")


class Blocks:
    """Lowers one part after another into `builder`; every method returns the output's name."""

    def __init__(self, builder: Builder, constants: Constants) -> None:
        self.builder, self.constants = builder, constants

    def group_norm(self, norm: nn.GroupNorm, function: Function | None = None,
                   scale_shift: tuple[Tensor, Tensor] | None = None) -> Prologue:
        """GroupNorm (times 1 + scale[t], plus shift[t]) and an activation."""
        gamma = self._table(norm.weight, 1.0, norm.num_channels)
        beta = self._table(norm.bias, 0.0, norm.num_channels)
        if scale_shift is not None:
            scale, shift = scale_shift
            gamma, beta = gamma * (1 + scale), beta * (1 + scale) + shift
        return Prologue(groups=norm.num_groups, gamma=gamma, beta=beta, epsilon=norm.eps,
                        table=table(function) if function else None)

    def layer_norm(self, norm: nn.LayerNorm) -> Prologue:
        """LayerNorm over the channels."""
        channels = norm.normalized_shape[0]
        return Prologue(row="layer_norm", gamma=self._table(norm.weight, 1.0, channels),
                        beta=self._table(norm.bias, 0.0, channels), epsilon=norm.eps)

    def _table(self, values: Tensor | None, fill: float, channels: int) -> Tensor:
        row = torch.full((channels,), fill) if values is None else values.detach()
        return row.to("cpu", torch.float64).expand(self.builder.timesteps, channels)

    def resnet(self, block: ResnetBlock2D, sources: tuple[str, ...]) -> str:
        """Residual block: two normalised convolutions, time embedding, shortcut."""
        name = self.builder.name(block)
        require(name, "a residual block without resampling", "one with it",
                block.upsample is None and block.downsample is None)
        require(name, "output_scale_factor 1", block.output_scale_factor,
                block.output_scale_factor == 1)
        require(name, "the activation SiLU", block.nonlinearity,
                isinstance(block.nonlinearity, nn.SiLU))
        bias, scale_shift = self.constants.residual(block)
        hidden = self.builder.module(block.conv1, sources, bias=bias,
                                     prologue=self.group_norm(block.norm1, "silu"))
        if block.conv_shortcut is not None:
            shortcut = self.builder.module(block.conv_shortcut, sources)
        else:
            require(name, "a shortcut convolution for two sources", "none", len(sources) == 1)
            shortcut = sources[0]
        return self.builder.module(block.conv2, (hidden,), second=shortcut,
                                   prologue=self.group_norm(block.norm2, "silu", scale_shift))

    def attention(self, attention: Attention, source: str, prologue: Prologue,
                  extra: Tensor | None = None) -> str:
        """Self-attention plus its input; `extra` float64 [T, K, O] is added to the bias."""
        b, name = self.builder, self.builder.name(attention)
        self._check(attention, name)
        steps = b.steps(name)
        queries, keys, values = (
            b.module(m, (source,), prologue=prologue, linear=True)
            for m in (attention.to_q, attention.to_k, attention.to_v))
        scores = b.product(f"{name}.scores", "scores", queries, keys, heads=attention.heads,
                           gain=float(attention.scale), steps=steps["queries"],
                           weight_steps=steps["keys"])
        mixed = b.product(f"{name}.mix", "mix", scores, values, heads=attention.heads,
                          steps=steps["probabilities"], weight_steps=steps["values"])
        return b.module(attention.to_out[0], (mixed,), second=source, extra=extra)

    def _check(self, attention: Attention, name: str) -> None:
        require(name, "no normalisation of queries and keys", "one",
                attention.norm_q is None and attention.norm_k is None
                and attention.spatial_norm is None)
        require(name, "rescale_output_factor 1", attention.rescale_output_factor,
                attention.rescale_output_factor == 1)
        require(name, "as many key heads as query heads", attention.inner_kv_dim,
                attention.inner_kv_dim == attention.inner_dim)

    def attention_block(self, attention: Attention, source: str) -> str:
        """The attention of `UNet2DModel`: GroupNorm, attention over the pixels, residual."""
        require(self.builder.name(attention), "a residual connection", "none",
                attention.residual_connection)
        norm = attention.group_norm
        return self.attention(attention, source, PLAIN if norm is None else self.group_norm(norm))

    def transformer(self, transformer: Transformer2DModel, source: str) -> str:
        """Spatial transformer: projection, blocks, projection, residual."""
        name = self.builder.name(transformer)
        require(name, "a transformer over images", "another", transformer.is_input_continuous)
        hidden = self.builder.module(transformer.proj_in, (source,),
                                     prologue=self.group_norm(transformer.norm))
        for block in transformer.transformer_blocks:
            hidden = self.transformer_block(block, hidden)
        return self.builder.module(transformer.proj_out, (hidden,), second=source)

    def transformer_block(self, block: BasicTransformerBlock, source: str) -> str:
        """Self-attention with the cross-attention folded into its bias, then feed-forward."""
        name = self.builder.name(block)
        require(name, "norm_type layer_norm", block.norm_type, block.norm_type == "layer_norm")
        require(name, "self-attention first and no position embedding", "another block",
                not block.only_cross_attention and block.pos_embed is None)
        extra = None if block.attn2 is None else self.constants.cross_attention(block.attn2, name)
        hidden = self.attention(block.attn1, source, self.layer_norm(block.norm1), extra)
        return self.feed_forward(block.ff, hidden, self.layer_norm(block.norm3))

    def feed_forward(self, block: FeedForward, source: str, prologue: Prologue) -> str:
        """GEGLU, linear, residual."""
        first, last = block.net[0], block.net[2]
        require(self.builder.name(block), "a GEGLU", type(first).__name__,
                isinstance(first, GEGLU) and len(block.net) == 3)
        gated = self.builder.module(first.proj, (source,), prologue=prologue, gate=table("gelu"))
        return self.builder.module(last, (gated,), second=source)

    def downsample(self, block: Any, source: str) -> str:
        """Strided convolution."""
        name = self.builder.name(block)
        require(name, "a strided convolution with padding 1", type(block).__name__,
                isinstance(block, Downsample2D) and block.use_conv and block.padding == 1
                and block.norm is None)
        return self.builder.module(block.conv, (source,))

    def upsample(self, block: Any, source: str) -> str:
        """Nearest upsampling and convolution in one layer."""
        name = self.builder.name(block)
        require(name, "nearest upsampling with a convolution", type(block).__name__,
                isinstance(block, Upsample2D) and block.use_conv and block.interpolate
                and not block.use_conv_transpose and block.norm is None)
        return self.builder.module(block.conv, (source,), upsample=2)
