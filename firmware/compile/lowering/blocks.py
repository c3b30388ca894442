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

from hqdm.firmware.compile.lowering.builder import PLAIN, Builder, Prologue, float64
from hqdm.firmware.compile.lowering.folding import Constants
from hqdm.spec.stages import TABLE_EXPONENT, Function, Table


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
        b = self.builder
        row = torch.full((channels,), fill, device=b.device) if values is None else values
        return float64(row).expand(b.timesteps, channels)

    def resnet(self, block: ResnetBlock2D, sources: tuple[str, ...]) -> str:
        """Residual block: two normalised convolutions, time embedding, shortcut."""
        name = self.builder.name(block)
        require(name, "output_scale_factor 1", block.output_scale_factor,
                block.output_scale_factor == 1)
        require(name, "the activation SiLU", block.nonlinearity,
                isinstance(block.nonlinearity, nn.SiLU))
        bias, scale_shift = self.constants.residual(block)
        first, upsample = self.group_norm(block.norm1, "silu"), 1
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
                                   prologue=self.group_norm(block.norm2, "silu", scale_shift))

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

    def attention(self, attention: Attention, source: str, prologue: Prologue,
                  extra: Tensor | None = None) -> str:
        """Self-attention plus its input; `extra` float64 [T, K, O] is added to the bias."""
        b, name = self.builder, self.builder.name(attention)
        self._check(attention, name)
        queries, keys, values = (
            b.module(m, (source,), prologue=prologue, linear=True)
            for m in (attention.to_q, attention.to_k, attention.to_v))
        return self._attend(attention, source, queries, keys, values, extra)

    def cross_attention(self, attention: Attention, source: str, prologue: Prologue) -> str:
        """Attention to several tokens of context, plus its input; only in networks of shapes.

        Keys and values do not depend on the image or the step: the host makes them once.
        """
        b, name = self.builder, self.builder.name(attention)
        self._check(attention, name)
        shape = (attention.inner_kv_dim, self.constants.tokens, 1)
        queries = b.module(attention.to_q, (source,), prologue=prologue, linear=True)
        keys, values = (b.host(f"{name}.{part}", "constant", None, shape)
                        for part in ("keys", "values"))
        return self._attend(attention, source, queries, keys, values, None)

    def _attend(self, attention: Attention, source: str, queries: str, keys: str, values: str,
                extra: Tensor | None) -> str:
        """Both products, projection, residual."""
        b, name = self.builder, self.builder.name(attention)
        steps = b.steps(name)
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
        several = block.attn2 is not None and self.constants.tokens > 1
        extra = None if block.attn2 is None or several else self.constants.cross_attention(
            block.attn2, name)
        hidden = self.attention(block.attn1, source, self.layer_norm(block.norm1), extra)
        if several:
            hidden = self.cross_attention(block.attn2, hidden, self.layer_norm(block.norm2))
        return self.feed_forward(block.ff, hidden, self.layer_norm(block.norm3))

    def feed_forward(self, block: FeedForward, source: str, prologue: Prologue) -> str:
        """GEGLU, linear, residual."""
        first, last = block.net[0], block.net[2]
        require(self.builder.name(block), "a GEGLU", type(first).__name__,
                isinstance(first, GEGLU) and len(block.net) == 3)
        gated = self.builder.module(first.proj, (source,), prologue=prologue, gate=table("gelu"))
        return self.builder.module(last, (gated,), second=source)

    def downsample(self, block: Any, source: str) -> str:
        """Strided convolution, or a residual block that pools."""
        if isinstance(block, ResnetBlock2D):
            return self.resnet(block, (source,))
        name = self.builder.name(block)
        require(name, "a strided convolution with padding 1", type(block).__name__,
                isinstance(block, Downsample2D) and block.use_conv and block.padding == 1
                and block.norm is None)
        return self.builder.module(block.conv, (source,))

    def upsample(self, block: Any, source: str) -> str:
        """Nearest upsampling and convolution in one layer, or a residual block that doubles."""
        if isinstance(block, ResnetBlock2D):
            return self.resnet(block, (source,))
        name = self.builder.name(block)
        require(name, "nearest upsampling with a convolution", type(block).__name__,
                isinstance(block, Upsample2D) and block.use_conv and block.interpolate
                and not block.use_conv_transpose and block.norm is None)
        return self.builder.module(block.conv, (source,), upsample=2)
