"""A diffusers UNet to the list of layers."""

from collections.abc import Sequence
from typing import Any

from diffusers.models.attention_processor import Attention
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import Tensor, nn

from hqdm.firmware.compile.lowering.blocks import Blocks, require
from hqdm.firmware.compile.lowering.builder import Builder
from hqdm.firmware.compile.lowering.folding import Constants, Select
from hqdm.learn.calibration.real import RealNetwork
from hqdm.learn.calibration.source import Quantisation
from hqdm.learn.diffusion.presets import UNET_CLASSES
from hqdm.spec.precision import Formats

MIXED = Formats()
BLOCKS = ("DownBlock2D", "CrossAttnDownBlock2D", "AttnDownBlock2D", "UNetMidBlock2D",
          "UNetMidBlock2DCrossAttn", "UpBlock2D", "CrossAttnUpBlock2D", "AttnUpBlock2D",
          "ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D")
# options that add something to the forward pass that is not lowered
PLAIN = {
    "center_input_sample": (False,), "class_embed_type": (None,),
    "addition_embed_type": (None,), "encoder_hid_dim": (None,), "encoder_hid_dim_type": (None,),
    "time_embedding_type": ("positional",), "time_cond_proj_dim": (None,), "conv_in_kernel": (3,),
    "conv_out_kernel": (3,), "class_embeddings_concat": (False,),
}
# of those, what only adds to the time embedding or makes the context: no layer for it
FOLDED = {"class_embed_type", "addition_embed_type", "encoder_hid_dim", "encoder_hid_dim_type",
          "time_cond_proj_dim"}


def lower(model: Any, timesteps: Sequence[int], *, contexts: Tensor | None = None,
          size: int | tuple[int, int] | None = None, formats: Formats = MIXED,
          quantisation: Quantisation | None = None, select: Select | None = None,
          name: str = "unet", runs: bool = False) -> RealNetwork:
    """The layers of a diffusers model of one of UNET_CLASSES.

    A model on torch's meta device gives a network of shapes: the same list, whose numbers are meta
    tensors. It may have what the integer network has not: residual blocks that resample, several
    context tokens (`network.host` says what the host makes for them).

    Parameters
    ----------
    model: what to lower.
    timesteps: the sampler's timesteps in order; entry i of every table is for timesteps[i].
    contexts: [K, D] or [K, N, D], the one token of each class (the null class among them); N
        above 1 for shapes only.
    size: height and width of the latent; the model's sample_size by default.
    formats: bits and rotation by role, if nothing is trained.
    quantisation: trained integers and steps; replaces `formats`.
    select: called with the table entry before constants of that timestep are computed.
    runs: refuse of a model on the meta device what the integer network has not.

    Raises
    ------
    ValueError: a part that is not lowered, a size that the downsampling does not divide, more
        than one context token, a module without an entry in `quantisation`.
    """
    kind = type(model).__name__
    require(name, f"one of {UNET_CLASSES}", kind, kind in UNET_CLASSES)
    shapes = next(model.parameters()).is_meta and not runs
    for option, fine in PLAIN.items():
        value = model.config.get(option, fine[0])
        require(name, f"{option} of {fine[0]!r}", repr(value),
                value in fine or (shapes and option in FOLDED))
    if contexts is not None:
        contexts = contexts[:, None] if contexts.dim() == 2 else contexts
        require(name, "one context token", f"{contexts.shape[1]}", shapes or contexts.shape[1] == 1)
    height, width = _size(model, size)
    added = None if shapes else _class_embedding(model, contexts, name)
    rows = contexts if added is None else added
    builder = Builder(model, len(timesteps), 1 if rows is None else len(rows), formats,
                      quantisation, runs)
    blocks = Blocks(builder, Constants(model, timesteps, contexts, select, added))
    source = builder.tensor("latent", model.config.in_channels, height, width)
    return builder.finish(name, source, _body(model, builder, blocks, source))


def _class_embedding(model: Any, contexts: Tensor | None, name: str) -> Tensor | None:
    """[K, E], what each class adds to the time embedding; None without classes of the model's own.
    """
    if model.config.get("num_class_embeds") is None:
        return None
    require(name, "class embeddings or a class token", "both", contexts is None)
    require(name, "an embedding per class", type(model.class_embedding).__name__,
            isinstance(model.class_embedding, nn.Embedding))
    return model.class_embedding.weight.detach()


def _size(model: Any, size: int | tuple[int, int] | None) -> tuple[int, int]:
    """(height, width), checked against the downsampling."""
    size = model.config.sample_size if size is None else size
    require("size", "a size, as the model has none", "None", size is not None)
    height, width = (size, size) if isinstance(size, int) else size
    factor = 1 << (len(model.down_blocks) - 1)
    require("size", f"multiples of {factor}", f"{height} x {width}",
            height % factor == 0 and width % factor == 0)
    return height, width


def _body(model: Any, builder: Builder, blocks: Blocks, source: str) -> str:
    """All layers; returns the output's name."""
    hidden = builder.module(model.conv_in, (source,))
    skips = [hidden]
    for block in model.down_blocks:
        _check_block(builder, block)
        for resnet, attention in zip(block.resnets, _attentions(block), strict=True):
            hidden = _attend(blocks, attention, blocks.resnet(resnet, (hidden,)))
            skips.append(hidden)
        for sampler in getattr(block, "downsamplers", None) or ():
            hidden = blocks.downsample(sampler, hidden)
            skips.append(hidden)
    if model.mid_block is not None:
        _check_block(builder, model.mid_block)
        hidden = blocks.resnet(model.mid_block.resnets[0], (hidden,))
        for resnet, attention in zip(model.mid_block.resnets[1:], model.mid_block.attentions,
                                     strict=True):
            hidden = blocks.resnet(resnet, (_attend(blocks, attention, hidden),))
    for block in model.up_blocks:
        _check_block(builder, block)
        for resnet, attention in zip(block.resnets, _attentions(block), strict=True):
            hidden = _attend(blocks, attention, blocks.resnet(resnet, (hidden, skips.pop())))
        for sampler in getattr(block, "upsamplers", None) or ():
            hidden = blocks.upsample(sampler, hidden)
    require("conv_norm_out", "a normalisation and SiLU before the last convolution", "another end",
            isinstance(model.conv_norm_out, nn.GroupNorm) and isinstance(model.conv_act, nn.SiLU))
    return builder.module(model.conv_out, (hidden,),
                          prologue=blocks.group_norm(model.conv_norm_out, "silu"))


def _check_block(builder: Builder, block: Any) -> None:
    require(builder.name(block), f"one of {BLOCKS}", type(block).__name__,
            type(block).__name__ in BLOCKS)


def _attentions(block: Any) -> Sequence[nn.Module | None]:
    """The attention after each residual block, None where there is none."""
    return getattr(block, "attentions", None) or [None] * len(block.resnets)


def _attend(blocks: Blocks, attention: nn.Module | None, hidden: str) -> str:
    if attention is None:
        return hidden
    if isinstance(attention, Transformer2DModel):
        return blocks.transformer(attention, hidden)
    require("attention", "an Attention or a Transformer2DModel", type(attention).__name__,
            isinstance(attention, Attention))
    assert isinstance(attention, Attention)
    return blocks.attention_block(attention, hidden)
