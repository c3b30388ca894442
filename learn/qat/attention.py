"""Attention with quantised products, and attention to one token."""

from typing import Any

import torch
from torch import Tensor, nn

from hqdm.learn.qat.quantiser import SymmetricQuantiser
from hqdm.learn.qat.timestep import Timestep


class Products(nn.Module):
    """The four quantisers of QK^T and PV, each with a step per timestep.

    The probabilities are quantised as the accelerator has them: unnormalised,
    e = exp(score - row maximum) in 0..1, divided after PV by the sum of the *quantised* e, so
    that the weights a row gives to its values add up to one.
    """

    def __init__(self, bits: int, timestep: Timestep) -> None:
        super().__init__()
        self.query, self.key, self.value, self.probability = (
            SymmetricQuantiser(bits, timestep) for _ in range(4))

    def forward(self, q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
        """softmax(q k^T * scale) v: (B, heads, N, d), (B, heads, M, d) twice -> (B, heads, N, d).
        """
        with torch.autocast(q.device.type, enabled=False):
            (q, step_q), (k, step_k) = self.query(q.float()), self.key(k.float())
            scores = (q @ k.transpose(-1, -2)) * (step_q * step_k * scale)
            e = (scores - scores.amax(-1, keepdim=True)).exp()
            (e, _), (v, step_v) = self.probability(e), self.value(v.float())
            total = e.sum(-1, keepdim=True).clamp_min(torch.finfo(e.dtype).tiny)
            return (e @ v) * step_v / total


def _tokens(attention: Any, x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, N, C) and the group norm, both only where the module has them."""
    if x.dim() == 4:
        x = x.flatten(2).transpose(1, 2)
    norm = attention.group_norm
    return x if norm is None else norm(x.transpose(1, 2)).transpose(1, 2)


def _finish(attention: Any, y: Tensor, residual: Tensor) -> Tensor:
    """Output projection, the image's shape again, the module's own residual."""
    y = attention.to_out[0](y)
    if residual.dim() == 4:
        y = y.transpose(-1, -2).reshape(residual.shape)
    if attention.residual_connection:
        y = y + residual
    return y / attention.rescale_output_factor


class QuantisedAttention:
    """diffusers attention processor whose products run through `attention.products`."""

    def __call__(self, attention: Any, hidden_states: Tensor,
                 encoder_hidden_states: Tensor | None = None,
                 attention_mask: Tensor | None = None, temb: Tensor | None = None) -> Tensor:
        check_supported(attention, attention_mask)
        x = _tokens(attention, hidden_states)
        context = x if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = (_heads(y, attention.heads) for y in (
            attention.to_q(x), attention.to_k(context), attention.to_v(context)))
        y = attention.products(q, k, v, attention.scale)
        return _finish(attention, y.transpose(1, 2).flatten(2), hidden_states)


class OneTokenAttention:
    """Attention to one token: its softmax is exactly 1, so the output is to_out(to_v(token)).

    The same for every pixel, whatever the query: to_q and to_k are not executed.
    """

    def __call__(self, attention: Any, hidden_states: Tensor,
                 encoder_hidden_states: Tensor | None = None,
                 attention_mask: Tensor | None = None, temb: Tensor | None = None) -> Tensor:
        check_supported(attention, attention_mask)
        if encoder_hidden_states is None or encoder_hidden_states.shape[1] != 1:
            got = "none" if encoder_hidden_states is None else encoder_hidden_states.shape[1]
            raise ValueError(f"attention: wanted one token, as when it was converted, got {got}")
        tokens = hidden_states if hidden_states.dim() == 3 else hidden_states.flatten(2).mT
        constant = attention.to_v(encoder_hidden_states)    # (B, 1, inner)
        if hidden_states.dim() == 3:
            return _finish(attention, constant, hidden_states)
        return _finish(attention, constant.expand(-1, tokens.shape[1], -1), hidden_states)


def _heads(x: Tensor, heads: int) -> Tensor:
    """(B, N, heads * d) -> (B, heads, N, d)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def check_supported(attention: Any, mask: Tensor | None = None) -> None:
    """Raise ValueError for an option of diffusers' attention that is not implemented."""
    options = {name: getattr(attention, name, None)
               for name in ("spatial_norm", "norm_q", "norm_k", "norm_cross")}
    used = [name for name, value in options.items() if value is not None]
    if used or mask is not None:
        raise ValueError(f"attention: wanted neither normed nor masked products, got "
                         f"{', '.join(used) or 'a mask'}")
