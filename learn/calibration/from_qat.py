"""Networks trained by hqdm.learn.qat, in the neutral form that lowering asks for."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hqdm.learn.calibration.real import RealLayer
from hqdm.learn.calibration.source import Quantisation, QuantisedAttention
from hqdm.learn.qat.convert import Quantised
from hqdm.learn.qat.export import layer_scales
from hqdm.learn.qat.layers import QuantisedLayer
from hqdm.learn.qat.quantiser import AsymmetricQuantiser, SymmetricQuantiser
from hqdm.learn.qat.rule import Rule
from hqdm.spec import Layer

FOLDED = ("time", "condition", "unused")    # roles that see no pixel


def quantisation(frozen: Quantised) -> Quantisation:
    """Integers and steps of a frozen network (hqdm.learn.qat.export.freeze).

    Raises
    ------
    ValueError: rotated weights, which the accelerator has not, or a network that is not frozen.
    """
    modules = {}
    attentions = {}
    for rule in frozen.rules:
        if rule.kind == "attention":
            name = rule.name.removesuffix(".products")
            attentions[name] = _attention(frozen.model.get_submodule(rule.name))
        elif rule.role not in FOLDED:
            modules[rule.name] = _module(frozen, rule)
    return Quantisation(modules=modules, attentions=attentions)


def selector(frozen: Quantised) -> Callable[[int], None]:
    """Sets the table entry all quantisers of the model read."""
    def select(index: int) -> None:
        frozen.timestep.index = torch.tensor(index)
    return select


def _module(frozen: Quantised, rule: Rule) -> tuple[Layer, RealLayer]:
    layer = frozen.layers()[rule.name]
    assert isinstance(layer, QuantisedLayer)
    if rule.rotated_weights:
        raise ValueError(f"{rule.name}: wanted activations rotated back, got rotated weights; the "
                         f"accelerator runs HQ-DM, EfficientDM and plain rounding")
    integers, scale, steps = layer_scales(frozen, rule.name)
    shape = (rule.outputs, sum(rule.sources), rule.kernel, rule.kernel)
    whole, wide = integers.cpu().to(torch.int16).reshape(shape), _float(scale)
    low, high = _bounds(layer.activation)
    return rule.to_layer(len(frozen.timestep)), RealLayer(
        bias=torch.zeros(1, 1, 1, dtype=torch.float64),
        weights=whole * wide[:, None, None, None], integers=whole, scale=wide,
        steps=_float(steps), low=low, high=high)


def _bounds(quantiser: SymmetricQuantiser | AsymmetricQuantiser,
            ) -> tuple[Tensor, Tensor] | tuple[None, None]:
    """(low, high), int64 [T], of free bounds."""
    if isinstance(quantiser, SymmetricQuantiser):
        return None, None
    zero = quantiser.zero.detach().cpu().to(torch.int64)
    return -zero, quantiser.levels - zero


def _attention(products: Any) -> QuantisedAttention:
    def steps(quantiser: SymmetricQuantiser) -> Tensor:
        return _float(quantiser.steps.all())
    return QuantisedAttention(queries=steps(products.query), keys=steps(products.key),
                              values=steps(products.value),
                              probabilities=steps(products.probability))


def _float(values: Tensor) -> Tensor:
    return values.detach().to("cpu", torch.float64)
