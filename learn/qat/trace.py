"""One dry run of a model: what its layers see, which the conversion needs to know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.upsampling import Upsample2D
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


@dataclass
class Trace:
    """What the dry run saw, by module name.

    Members
    -------
    shapes: input shapes of executed Conv2d and Linear, in order of execution.
    sources: channels of the concatenated sources, where a layer has two.
    upsampled: layers right behind a nearest upsampling.
    context: tokens each attention attends to; 0: to itself.
    """

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    sources: dict[str, tuple[int, ...]] = field(default_factory=dict)
    upsampled: set[str] = field(default_factory=set)
    context: dict[str, int] = field(default_factory=dict)


class _Concatenations(TorchFunctionMode):
    """Remembers the channels that every torch.cat along channels joined."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[tuple[Tensor, tuple[int, ...]]] = []

    def __torch_function__(self, function: Any, types: Any, args: Any = (),
                           kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        if function is torch.cat and out.dim() == 4:
            dim = kwargs.get("dim", 0) if kwargs and "dim" in kwargs else (args + (0,))[1]
            if dim == 1:
                self.made.append((out, tuple(part.shape[1] for part in args[0])))
        return out

    def sources(self, x: Tensor) -> tuple[int, ...] | None:
        """Channels joined in `x`, None if it is no concatenation."""
        return next((parts for made, parts in self.made if made is x), None)


def example_inputs(model: nn.Module) -> dict[str, Any]:
    """One sample of zeros, timestep 0, one token and class 0, for UNet2DModel and
    UNet2DConditionModel.

    Raises
    ------
    ValueError: a model whose configuration has no sample size or channels.
    """
    config: Mapping[str, Any] = getattr(model, "config", {})
    size, channels = config.get("sample_size"), config.get("in_channels")
    if size is None or channels is None:
        raise ValueError(f"{type(model).__name__}: wanted a configuration with sample_size and "
                         f"in_channels, got none; pass the inputs of a dry run")
    height, width = (size, size) if isinstance(size, int) else size
    inputs = {"sample": torch.zeros(1, channels, height, width), "timestep": torch.tensor([0])}
    if config.get("cross_attention_dim") is not None:
        inputs["encoder_hidden_states"] = torch.zeros(1, 1, config["cross_attention_dim"])
    if config.get("num_class_embeds") is not None:
        inputs["class_labels"] = torch.zeros(1, dtype=torch.int64)
    return inputs


def _blocks(model: nn.Module, trace: Trace, seen: _Concatenations) -> list[Any]:
    """Hooks on the blocks that join, upsample or attend."""
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, Attention):
            def attend(m: nn.Module, args: Any, kwargs: Any, name: str = name) -> None:
                context = kwargs.get("encoder_hidden_states")
                trace.context[name] = 0 if context is None else context.shape[1]
            hooks.append(module.register_forward_pre_hook(attend, with_kwargs=True))
        elif isinstance(module, ResnetBlock2D):
            layers = [f"{name}.conv1", f"{name}.conv_shortcut"]
            if module.upsample is not None:
                trace.upsampled.update(layers)

            def join(m: nn.Module, args: Any, layers: list[str] = layers) -> None:
                if (parts := seen.sources(args[0])) is not None:
                    trace.sources.update(dict.fromkeys(layers, parts))
            hooks.append(module.register_forward_pre_hook(join))
        elif isinstance(module, Upsample2D) and module.interpolate and module.use_conv:
            trace.upsampled.update(f"{name}.{child}" for child, _ in module.named_children())
    return hooks


@torch.no_grad()
def trace_model(model: nn.Module, inputs: Mapping[str, Any]) -> Trace:
    """Run `model(**inputs)` once and return what its layers saw."""
    trace, seen = Trace(), _Concatenations()
    hooks = _blocks(model, trace, seen)
    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            def look(m: nn.Module, args: Any, name: str = name) -> None:
                trace.shapes[name] = tuple(args[0].shape)
                if (parts := seen.sources(args[0])) is not None:
                    trace.sources[name] = parts
            hooks.append(module.register_forward_pre_hook(look))
    try:
        with seen:
            model(**inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return trace
