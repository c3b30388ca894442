"""Multiply-accumulates of one call of a module, counted by hooks."""

from collections import Counter
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn


def _weights(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> int:
    """Products of a convolution or linear layer: outputs times the depth of one of them."""
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    assert isinstance(module, nn.Conv2d)
    return output.numel() * module.weight[0].numel()


def count_macs(model: nn.Module, *arguments: Any) -> dict[str, int]:
    """Products per kind of layer in `model(*arguments)`: keys "conv", "linear", "attention".

    Attention counts Q.K and P.V of `diffusers` attention blocks, whose own projections count as
    linear. Biases, normalisations and activations count nothing.
    """
    counts: Counter[str] = Counter(conv=0, linear=0, attention=0)

    def layer(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        kind = "conv" if isinstance(module, nn.Conv2d) else "linear"
        counts[kind] += _weights(module, inputs, output)

    def attention(
        module: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Any], output: Tensor,
    ) -> None:
        assert isinstance(module, Attention)
        queries = args[0].flatten(2).shape[-1] if args[0].ndim == 4 else args[0].shape[1]
        context = kwargs.get("encoder_hidden_states")
        keys = queries if context is None else context.shape[1]
        counts["attention"] += 2 * args[0].shape[0] * queries * keys * module.inner_dim

    hooks = [m.register_forward_hook(layer) for m in model.modules()
             if isinstance(m, (nn.Conv2d, nn.Linear))]
    hooks += [m.register_forward_hook(attention, with_kwargs=True) for m in model.modules()
              if isinstance(m, Attention)]
    try:
        with torch.no_grad():
            model(*arguments)
    finally:
        for hook in hooks:
            hook.remove()
    return dict(counts)


def parameters(model: nn.Module) -> int:
    """Number of parameters."""
    return sum(p.numel() for p in model.parameters())
