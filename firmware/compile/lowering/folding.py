"""What does not depend on the image, computed once: time embeddings and cross-attention."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from torch import Tensor

from hqdm.firmware.compile.lowering.prologue import float64

Select = Callable[[int], None]


def fold_cross_attention(attention: Attention, contexts: Tensor) -> Tensor:
    """What attention to one token adds, whatever the query: to_out(to_v(token)), [K, O].

    The softmax over a single key is exactly 1, so the query, its norm and the keys drop out.
    """
    return attention.to_out[0](attention.to_v(contexts))


class Constants:
    """Biases that depend on timestep and class.

    Members
    -------
    tokens: of the context, 1 unless the network is one of shapes.

    Parameters
    ----------
    model: the UNet; its own modules compute the constants, so what they quantise is quantised.
    timesteps: the sampler's timesteps, one per table entry.
    contexts: [K, N, D], the tokens of each class, or None without cross-attention.
    select: called with the table entry before its constants are computed, for models whose
        quantisers depend on it.
    classes: [K, E], what each class adds to the time embedding, or None.
    """

    def __init__(self, model: Any, timesteps: Sequence[int], contexts: Tensor | None,
                 select: Select | None, classes: Tensor | None = None) -> None:
        self.tokens = 1 if contexts is None else contexts.shape[1]
        self._contexts = None if contexts is None else contexts[:, 0]
        self._select = select or (lambda index: None)
        self._count = len(timesteps)
        dtype = next(model.parameters()).dtype
        device = next(model.parameters()).device
        both = model.config.get("class_embeddings_concat", False)   # time and class, side by side
        self._embeddings: list[Tensor] = []
        for index, t in enumerate(timesteps):
            self._select(index)
            with torch.no_grad():
                embedding = model.time_embedding(
                    model.time_proj(torch.tensor([t], device=device)).to(dtype))
                if classes is not None:     # (K, E), a row per class
                    embedding = embedding + classes
                act = getattr(model, "time_embed_act", None)
            embedding = torch.cat([embedding, embedding], dim=1) if both else embedding
            self._embeddings.append(embedding if act is None else act(embedding))
        if self._contexts is not None:
            self._contexts = self._contexts.to(device, dtype)

    def _each(self, compute: Callable[[int], Tensor]) -> Tensor:
        """float64 [T, ...] of `compute(entry)`."""
        rows = []
        with torch.no_grad():
            for index in range(self._count):
                self._select(index)
                rows.append(float64(compute(index)))
        return torch.stack(rows)

    def residual(self, block: ResnetBlock2D) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """(bias [T, K or 1, O] of the first convolution, (scale, shift) [T, O] of the second norm).

        Raises
        ------
        ValueError: another use of the time embedding, or a scale that depends on the class.
        """
        own = float64(block.conv1.bias)
        projection = block.time_emb_proj
        if projection is None:
            return own.expand(self._count, 1, -1), None

        def project(index: int) -> Tensor:
            embedding = self._embeddings[index]
            return projection(
                embedding if block.skip_time_act else block.nonlinearity(embedding))

        shift = self._each(project)                         # (T, K or 1, O or 2 O)
        if block.time_embedding_norm == "default":
            return own + shift, None
        if block.time_embedding_norm != "scale_shift":
            raise ValueError(f"time_embedding_norm: wanted default or scale_shift, got "
                             f"{block.time_embedding_norm!r}")
        if shift.shape[1] > 1:
            raise ValueError(f"time_embedding_norm: wanted default beside class embeddings, which "
                             f"are biases in the core, got scale_shift with {shift.shape[1]} "
                             f"classes; hqdm cycles counts such a network")
        scale, offset = shift.squeeze(1).chunk(2, dim=1)
        return own.expand(self._count, 1, -1), (scale, offset)

    @property
    def given(self) -> bool:
        """Whether there is a context."""
        return self._contexts is not None

    def to_itself(self, attention: Attention) -> bool:
        """Whether an attention that may have a context is to the pixels: it has none, and where
        the model is given none, keys as wide as the pixels are made of them."""
        return not attention.is_cross_attention or (
            not self.given and attention.cross_attention_dim == attention.query_dim)

    def cross_attention(self, attention: Attention, name: str) -> Tensor:
        """float64 [T, K, O] that cross-attention adds; ValueError without contexts."""
        contexts = self._contexts
        if contexts is None or attention.cross_attention_dim != contexts.shape[-1]:
            got = None if contexts is None else tuple(contexts.shape)
            raise ValueError(f"{name}: wanted one class token of {attention.cross_attention_dim} "
                             f"numbers for the cross-attention, got {got}")
        if attention.norm_cross or attention.rescale_output_factor != 1 or (
                attention.residual_connection):
            raise ValueError(f"{name}: wanted a plain cross-attention, got {attention}")
        return self._each(lambda index: fold_cross_attention(attention, contexts))
