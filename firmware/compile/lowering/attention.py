"""The attending parts of a diffusers UNet: attention, spatial transformer, feed-forward."""

from diffusers.models.activations import GEGLU
from diffusers.models.attention import BasicTransformerBlock, FeedForward
from diffusers.models.attention_processor import Attention
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import nn

from hqdm.firmware.compile.lowering.blocks import require
from hqdm.firmware.compile.lowering.builder import Builder
from hqdm.firmware.compile.lowering.folding import Constants
from hqdm.firmware.compile.lowering.prologue import (
    PLAIN,
    Prologue,
    group_norm,
    layer_norm,
    table,
)


class Attentions:
    """Lowers one part after another into `builder`; every method returns the output's name.

    Keys and values of a context do not depend on the image or the step: the host makes them once.
    To a single token, the whole attention is a constant, which is added to a bias.
    """

    def __init__(self, builder: Builder, constants: Constants) -> None:
        self.builder, self.constants = builder, constants

    def lower(self, attention: nn.Module, source: str) -> str:
        """What follows a residual block, whatever it is."""
        if isinstance(attention, Transformer2DModel):
            return self.transformer(attention, source)
        require("attention", "an Attention or a Transformer2DModel", type(attention).__name__,
                isinstance(attention, Attention))
        assert isinstance(attention, Attention)
        if attention.added_kv_proj_dim is not None:
            return self.joined_attention(attention, source)
        require(self.builder.name(attention), "a residual connection", "none",
                attention.residual_connection)
        return self.self_attention(attention, source, self._norm(attention))

    def _norm(self, attention: Attention) -> Prologue:
        norm = attention.group_norm
        return PLAIN if norm is None else group_norm(norm, self.builder.timesteps)

    def self_attention(self, attention: Attention, source: str, prologue: Prologue) -> str:
        """Attention of the pixels to each other, plus its input."""
        b = self.builder
        self._check(attention)
        queries, keys, values = (
            b.module(m, (source,), prologue=prologue, linear=True)
            for m in (attention.to_q, attention.to_k, attention.to_v))
        return self._attend(attention, source, queries, keys, values)

    def cross_attention(self, attention: Attention, source: str, norm: nn.LayerNorm) -> str:
        """Attention to the context, plus its input; without a context it is to the pixels."""
        prologue = layer_norm(norm, self.builder.timesteps)
        if self.constants.to_itself(attention):
            return self.self_attention(attention, source, prologue)
        if self.constants.tokens == 1:
            name = self.builder.name(attention)
            self.builder.shift(source, self.constants.cross_attention(attention, name))
            return source
        self._check(attention)
        queries = self.builder.module(attention.to_q, (source,), prologue=prologue, linear=True)
        return self._attend(attention, source, queries, *self._context(attention))

    def joined_attention(self, attention: Attention, source: str) -> str:
        """Attention of the pixels to the context and, unless it is only to that, to each other."""
        b, name = self.builder, self.builder.name(attention)
        self._check(attention)
        require(name, "a network of shapes", "one with weights", b.shapes)
        require(name, "a context", "none", self.constants.given)
        prologue = self._norm(attention)
        queries = b.module(attention.to_q, (source,), prologue=prologue, linear=True)
        if attention.only_cross_attention:
            return self._attend(attention, source, queries, *self._context(attention))
        own = [b.module(m, (source,), prologue=prologue, linear=True)
               for m in (attention.to_k, attention.to_v)]
        rows = self.constants.tokens + b.tensors[source].pixels
        keys, values = (
            b.host(f"{name}.{part}", "join", tensor, (attention.inner_kv_dim, rows, 1))
            for part, tensor in zip(("keys", "values"), own, strict=True))
        return self._attend(attention, source, queries, keys, values)

    def _context(self, attention: Attention) -> tuple[str, str]:
        """Keys and values of the context; only in networks of shapes."""
        b, name = self.builder, self.builder.name(attention)
        shape = (attention.inner_kv_dim, self.constants.tokens, 1)
        keys, values = (b.host(f"{name}.{part}", "constant", None, shape)
                        for part in ("keys", "values"))
        return keys, values

    def _attend(self, attention: Attention, source: str, queries: str, keys: str, values: str,
                ) -> str:
        """Both products, projection, residual."""
        b, name = self.builder, self.builder.name(attention)
        steps = b.steps(name)
        scores = b.product(f"{name}.scores", "scores", queries, keys, heads=attention.heads,
                           gain=float(attention.scale), steps=steps["queries"],
                           weight_steps=steps["keys"])
        mixed = b.product(f"{name}.mix", "mix", scores, values, heads=attention.heads,
                          steps=steps["probabilities"], weight_steps=steps["values"])
        return b.module(attention.to_out[0], (mixed,), second=source)

    def _check(self, attention: Attention) -> None:
        name = self.builder.name(attention)
        require(name, "no normalisation of queries and keys", "one",
                attention.norm_q is None and attention.norm_k is None
                and attention.spatial_norm is None)
        # a constant factor is one of weights and affines; shapes do not change with it
        require(name, "rescale_output_factor 1", attention.rescale_output_factor,
                attention.rescale_output_factor == 1 or self.builder.shapes)
        require(name, "as many key heads as query heads", attention.inner_kv_dim,
                attention.inner_kv_dim == attention.inner_dim)

    def transformer(self, transformer: Transformer2DModel, source: str) -> str:
        """Spatial transformer: projection, blocks, projection, residual."""
        name, steps = self.builder.name(transformer), self.builder.timesteps
        require(name, "a transformer over images", "another", transformer.is_input_continuous)
        hidden = self.builder.module(transformer.proj_in, (source,),
                                     prologue=group_norm(transformer.norm, steps))
        for block in transformer.transformer_blocks:
            hidden = self.transformer_block(block, hidden)
        return self.builder.module(transformer.proj_out, (hidden,), second=source)

    def transformer_block(self, block: BasicTransformerBlock, source: str) -> str:
        """Attention to the pixels or the context, to the context, then feed-forward."""
        name, steps = self.builder.name(block), self.builder.timesteps
        require(name, "norm_type layer_norm", block.norm_type, block.norm_type == "layer_norm")
        require(name, "no position embedding", "one", block.pos_embed is None)
        hidden = source
        if block.only_cross_attention:
            hidden = self.cross_attention(block.attn1, hidden, block.norm1)
        else:
            hidden = self.self_attention(block.attn1, hidden, layer_norm(block.norm1, steps))
        if block.attn2 is not None:
            hidden = self.cross_attention(block.attn2, hidden, block.norm2)
        return self.feed_forward(block.ff, hidden, layer_norm(block.norm3, steps))

    def feed_forward(self, block: FeedForward, source: str, prologue: Prologue) -> str:
        """GEGLU, linear, residual."""
        first, last = block.net[0], block.net[2]
        require(self.builder.name(block), "a GEGLU", type(first).__name__,
                isinstance(first, GEGLU) and len(block.net) == 3)
        gated = self.builder.module(first.proj, (source,), prologue=prologue, gate=table("gelu"))
        return self.builder.module(last, (gated,), second=source)
