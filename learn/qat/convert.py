"""Any diffusers UNet to its quantised twin: every Conv2d and Linear replaced, by rule."""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from diffusers.models.attention_processor import Attention
from torch import nn

from hqdm.learn.qat.attention import (
    OneTokenAttention,
    Products,
    QuantisedAttention,
    check_supported,
)
from hqdm.learn.qat.layers import QuantisedLayer
from hqdm.learn.qat.lora import RANK, FixedWeight, TrainedWeight
from hqdm.learn.qat.methods import Method
from hqdm.learn.qat.quantiser import AsymmetricQuantiser, SymmetricQuantiser, WideQuantiser
from hqdm.learn.qat.rule import Rule
from hqdm.learn.qat.timestep import Timestep
from hqdm.learn.qat.trace import Trace, example_inputs, trace_model
from hqdm.spec.layer import Axis
from hqdm.spec.precision import ROTATED, Role

Weight = TrainedWeight | FixedWeight


@dataclass
class Quantised:
    """A quantised model and what was done to it.

    Members
    -------
    model: a diffusers model, called as before; its timesteps are those of `timestep.schedule`.
    timestep: the index all its quantisers share.
    rules: one per layer, in order of execution, the unused ones last.
    """

    model: nn.Module
    timestep: Timestep
    rules: tuple[Rule, ...]

    def layers(self) -> dict[str, QuantisedLayer]:
        """The quantised layers by name, in order of execution."""
        return {r.name: layer for r in self.rules
                if isinstance(layer := self.model.get_submodule(r.name), QuantisedLayer)}


def _conv_shape(name: str, conv: nn.Conv2d) -> dict[str, Any]:
    """kernel, stride and padding of a square, ungrouped convolution."""
    square = [len(set(pair)) == 1 for pair in (conv.kernel_size, conv.stride, conv.padding)]
    if not all(square) or isinstance(conv.padding, str) or conv.groups != 1 or (
            conv.padding_mode != "zeros" or set(conv.dilation) != {1}):
        raise ValueError(f"{name}: wanted a square convolution without groups or dilation, "
                         f"padded with zeros, got {conv}")
    return {"kernel": conv.kernel_size[0], "stride": conv.stride[0],
            "padding": int(conv.padding[0])}


def _role(name: str, module: nn.Module, trace: Trace, convs: Sequence[str]) -> Role:
    parent, _, child = name.removesuffix(".0").rpartition(".")
    if name not in trace.shapes:
        return "unused"
    if isinstance(module, nn.Conv2d):
        if name in (convs[0], convs[-1]):
            return "first" if name == convs[0] else "last"
        if child == "conv_shortcut":
            return "skip"
        return "downsample" if module.stride[0] > 1 else "body"
    if len(trace.shapes[name]) == 2:        # (B, C): no pixels, an embedding
        return "time"
    if trace.context.get(parent) == 1:
        return "unused" if child in ("to_q", "to_k") else "condition"
    return "body"


def _layer_rule(name: str, module: nn.Conv2d | nn.Linear, role: Role, trace: Trace,
                method: Method, axes: Mapping[str, Axis]) -> Rule:
    chosen = method.formats.of(role, isinstance(module, nn.Linear))
    shape = trace.shapes.get(name, (1, module.weight.shape[1]))
    common: dict[str, Any] = {
        "name": name, "role": role, "weight_bits": chosen.weight_bits,
        "activation_bits": chosen.activation_bits, "asymmetric": chosen.ranged,
        "outputs": module.weight.shape[0]}
    if isinstance(module, nn.Linear):
        rows = 1 if role == "condition" else shape[-2]
        rule = Rule(kind="linear", sources=(shape[-1],), height=rows, width=1, **common)
    else:
        up = 2 if name in trace.upsampled else 1
        rule = Rule(kind="conv", sources=trace.sources.get(name, (shape[1],)), upsample=up,
                    height=shape[2] // up, width=shape[3] // up, **common,
                    **_conv_shape(name, module))
    if role not in ROTATED:
        return rule
    axis, order = rule.rotated(axes.get(name, chosen.axis), method.order)
    return replace(rule, axis=axis, order=order,
                   rotated_weights=method.rotated_weights and order > 0)


def _attention_rule(name: str, module: Attention, trace: Trace, method: Method) -> Rule:
    queries = trace.shapes[f"{name}.to_q"][-2]
    chosen = method.formats.of("product", linear=True)
    return Rule(name=f"{name}.products", kind="attention", role="product",
                weight_bits=chosen.weight_bits, activation_bits=chosen.activation_bits,
                sources=(module.inner_dim,), outputs=module.inner_dim, height=queries, width=1,
                heads=module.heads)


def make_rules(model: nn.Module, method: Method, inputs: Mapping[str, Any] | None = None,
               axes: Mapping[str, Axis] | None = None) -> tuple[Rule, ...]:
    """The rule of every layer, in order of execution, from one dry run.

    Parameters
    ----------
    axes: rotation of layers by name, in place of the method's.

    Raises
    ------
    ValueError: a layer that cannot be quantised, a model without convolution or linear layer.
    """
    trace = trace_model(model, example_inputs(model) if inputs is None else inputs)
    modules = dict(model.named_modules())
    convs = [name for name in trace.shapes if isinstance(modules[name], nn.Conv2d)]
    if not convs:
        raise ValueError(f"{type(model).__name__}: wanted a model with convolutions, got none")
    names = [*trace.shapes, *(n for n, m in modules.items() if n not in trace.shapes
                              and isinstance(m, (nn.Conv2d, nn.Linear)))]
    rules: list[Rule] = []
    for name in names:
        module = modules[name]
        assert isinstance(module, (nn.Conv2d, nn.Linear))
        rules.append(_layer_rule(name, module, _role(name, module, trace, convs), trace, method,
                                 axes or {}))
        attention = modules[name.rpartition(".")[0]]
        if isinstance(attention, Attention) and name.endswith(".to_v"):
            check_supported(attention)
            if trace.context[name.rpartition(".")[0]] != 1:
                rules.append(_attention_rule(name.rpartition(".")[0], attention, trace, method))
    return tuple(sorted(rules, key=lambda r: r.role == "unused"))


def _replace_everywhere(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Replace a module under all its names (diffusers registers some twice)."""
    for parent in list(model.modules()):
        for child, module in list(parent._modules.items()):
            if module is old:
                setattr(parent, child, new)


def _quantiser(rule: Rule, timestep: Timestep) -> SymmetricQuantiser | AsymmetricQuantiser:
    if rule.asymmetric:
        return AsymmetricQuantiser(rule.activation_bits, timestep)
    chosen = WideQuantiser if rule.role == "first" else SymmetricQuantiser
    return chosen(rule.activation_bits, timestep)


def install(model: nn.Module, rules: Iterable[Rule], timestep: Timestep,
            make_weight: Callable[[Rule, Any], Weight]) -> Quantised:
    """Replace, in place, every layer that has a rule; hook the timestep in.

    Parameters
    ----------
    make_weight: gives the integer weights of a layer from its rule and float module.
    """
    rules = tuple(rules)
    attended = set()
    for rule in rules:
        if rule.kind == "attention":
            attention: Any = model.get_submodule(rule.name.rpartition(".")[0])
            attention.products = Products(rule.activation_bits, timestep)
            attention.set_processor(QuantisedAttention())
            attended.add(attention)
        elif rule.role != "unused":
            old: Any = model.get_submodule(rule.name)
            activation = _quantiser(rule, timestep)
            _replace_everywhere(model, old, QuantisedLayer(
                rule, make_weight(rule, old), activation, old.bias))
    for module in model.modules():
        if isinstance(module, Attention) and module not in attended:
            module.set_processor(OneTokenAttention())
            module.to_q, module.to_k = nn.Identity(), nn.Identity()     # never executed
    model.register_forward_pre_hook(timestep.select, with_kwargs=True)
    return Quantised(model, timestep, rules)


def convert(model: nn.Module, method: Method, schedule: Sequence[int], *, rank: int = RANK,
            seed: int = 0, inputs: Mapping[str, Any] | None = None,
            axes: Mapping[str, Axis] | None = None) -> Quantised:
    """A quantised copy of `model`, not yet calibrated.

    Only steps, zero points and low-rank corrections of the copy are trainable.

    Parameters
    ----------
    model: UNet2DConditionModel, UNet2DModel, or any module with Conv2d and Linear layers,
        diffusers attention and a `timestep` argument; on the CPU.
    schedule: the sampler's timesteps, in order.
    inputs: arguments of a dry run, where the model's configuration does not tell them.
    axes: rotation of layers by name, in place of the method's (`hqdm.learn.qat.axes`).

    Raises
    ------
    ValueError: a layer that cannot be quantised.
    """
    model = copy.deepcopy(model).eval().requires_grad_(False)
    rules = make_rules(model, method, inputs, axes)
    timestep = Timestep(schedule)
    generator = torch.Generator().manual_seed(seed)

    def trained(rule: Rule, module: Any) -> TrainedWeight:
        return TrainedWeight(
            module.weight, bits=rule.weight_bits, rank=rank, timestep=timestep,
            order=rule.order if rule.rotated_weights else 0, generator=generator)
    return install(model, rules, timestep, trained)
