"""A diffusers UNet to the list of layers."""

from collections.abc import Iterator, Sequence
from typing import Any

from diffusers.models.downsampling import Downsample2D
from torch import Tensor, nn

from hqdm.firmware.compile.blocks import check_block
from hqdm.firmware.compile.lowering.attention import Attentions
from hqdm.firmware.compile.lowering.blocks import Blocks, require
from hqdm.firmware.compile.lowering.builder import Builder
from hqdm.firmware.compile.lowering.folding import Constants, Select
from hqdm.firmware.compile.lowering.prologue import group_norm
from hqdm.learn.calibration.real import RealNetwork
from hqdm.learn.calibration.source import Quantisation
from hqdm.learn.diffusion.presets import UNET_CLASSES
from hqdm.spec.layer import MAX_DIMENSION
from hqdm.spec.precision import Formats

MIXED = Formats()
# options that add something to the forward pass that is not lowered
PLAIN = {
    "center_input_sample": (False,), "class_embed_type": (None,),
    "addition_embed_type": (None,), "encoder_hid_dim": (None,), "encoder_hid_dim_type": (None,),
    "time_embedding_type": ("positional",), "time_cond_proj_dim": (None,),
    "conv_in_kernel": (3, 1), "conv_out_kernel": (3, 1), "class_embeddings_concat": (False,),
    "dual_cross_attention": (False, None), "attention_type": ("default",),
}
# of those, what is a network of shapes for: what changes the time embedding, the context, the
# latent before it is encoded or the noise after it is decoded has no layer
FOLDED = {"center_input_sample", "class_embed_type", "addition_embed_type",
          "encoder_hid_dim", "encoder_hid_dim_type", "time_embedding_type", "time_cond_proj_dim",
          "class_embeddings_concat"}


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
        require(name, f"{option} of {' or '.join(map(repr, fine))}", repr(value),
                value in fine or (shapes and option in FOLDED))
    if contexts is not None:
        contexts = contexts[:, None] if contexts.dim() == 2 else contexts
        require(name, "one context token", f"{contexts.shape[1]}", shapes or contexts.shape[1] == 1)
    require(name, "a size, as the configuration has no sample_size: say --size HEIGHT WIDTH",
            "none", size is not None or model.config.sample_size is not None)
    height, width = _size(model, size)
    added = None if shapes else _class_embedding(model, contexts, name)
    rows = contexts if added is None else added
    builder = Builder(model, len(timesteps), 1 if rows is None else len(rows), formats,
                      quantisation, _mirrored(model), runs)
    constants = Constants(model, timesteps, contexts, select, added)
    source = builder.tensor("latent", model.config.in_channels, height, width)
    body = _Body(builder, Blocks(builder, constants), Attentions(builder, constants))
    return builder.finish(name, source, body.lower(model, source))


def _mirrored(model: Any) -> bool:
    """Whether strided convolutions have their zeros at the bottom and right only."""
    return any(m.use_conv and m.padding == 0 for m in model.modules()
               if isinstance(m, Downsample2D))


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
    height, width = (size, size) if isinstance(size, int) else size
    require("size", f"1..{MAX_DIMENSION} both ways", f"{height} x {width}",
            1 <= min(height, width) and max(height, width) <= MAX_DIMENSION)
    factor = 1 << (len(model.down_blocks) - 1)
    require("size", f"multiples of {factor}", f"{height} x {width}",
            height % factor == 0 and width % factor == 0)
    return height, width


class _Body:
    """Lowers the blocks of a UNet in their order."""

    def __init__(self, builder: Builder, blocks: Blocks, attentions: Attentions) -> None:
        self.builder, self.blocks, self.attentions = builder, blocks, attentions

    def lower(self, model: Any, source: str) -> str:
        """All layers; returns the output's name."""
        hidden = self.builder.module(model.conv_in, (source,))
        skips = [hidden]
        for block in model.down_blocks:
            for resnet, attention in self._parts(block):
                hidden = self._attend(attention, self.blocks.resnet(resnet, (hidden,)))
                skips.append(hidden)
            for sampler in getattr(block, "downsamplers", None) or ():
                hidden = self.blocks.downsample(sampler, hidden)
                skips.append(hidden)
        if model.mid_block is not None:
            hidden = self._middle(model.mid_block, hidden)
        for block in model.up_blocks:
            for resnet, attention in self._parts(block):
                sources = hidden, skips.pop()
                hidden = self._attend(attention, self.blocks.resnet(resnet, sources))
            for sampler in getattr(block, "upsamplers", None) or ():
                hidden = self.blocks.upsample(sampler, hidden)
        return self._end(model, hidden)

    def _middle(self, block: Any, hidden: str) -> str:
        check_block(self.builder.name(block), type(block).__name__)
        hidden = self.blocks.resnet(block.resnets[0], (hidden,))
        for resnet, attention in zip(block.resnets[1:], block.attentions, strict=True):
            hidden = self.blocks.resnet(resnet, (self._attend(attention, hidden),))
        return hidden

    def _end(self, model: Any, hidden: str) -> str:
        norm = model.conv_norm_out
        require("conv_norm_out", "a normalisation and SiLU before the last convolution",
                "another end",
                isinstance(norm, nn.GroupNorm) and isinstance(model.conv_act, nn.SiLU))
        return self.builder.module(model.conv_out, (hidden,),
                                   prologue=group_norm(norm, self.builder.timesteps, "silu"))

    def _parts(self, block: Any) -> Iterator[tuple[Any, nn.Module | None]]:
        """Each residual block and the attention after it, None where there is none."""
        check_block(self.builder.name(block), type(block).__name__)
        attentions = getattr(block, "attentions", None) or [None] * len(block.resnets)
        return zip(block.resnets, attentions, strict=True)

    def _attend(self, attention: nn.Module | None, hidden: str) -> str:
        return hidden if attention is None else self.attentions.lower(attention, hidden)
