"""Quantisers of the reference: none, the given steps, or steps calibrated on the way."""

from typing import Protocol

import torch
from torch import Tensor

from golden.network.real import RealLayer, RealNetwork
from spec.fixed import symmetric_max

PROBABILITY_MAX = 119       # exp(0) = 1 is quantised to Q
CANDIDATES = 40


class Quantiser(Protocol):
    """What the reference executor asks at each product; `index` is the layer's place."""

    def weights(self, index: int) -> Tensor:
        """Weights of the layer, real numbers."""

    def activation(self, index: int, timestep: int, x: Tensor, bits: int) -> Tensor:
        """The rotated activation, quantised and scaled back."""

    def operand(self, index: int, timestep: int, x: Tensor) -> Tensor:
        """The operand in the weights' place, 8 bits."""


def fake_quantise(x: Tensor, step: float, bits: int) -> Tensor:
    """clamp(round(x / step), -Q, Q) * step."""
    limit = symmetric_max(bits)
    return (x / step).round().clamp(-limit, limit) * step


def best_step(x: Tensor, bits: int, candidates: int = CANDIDATES) -> float:
    """The step of least squared error, of `candidates` between a tenth and all of the maximum."""
    top = float(x.abs().max()) / symmetric_max(bits)
    if top < 1e-9:
        return 1e-9
    flat = x.flatten()[:: max(1, x.numel() // 65536)]
    best, error = top, float("inf")
    for i in range(candidates):
        step = top * (1 - 0.9 * i / candidates)
        miss = float((fake_quantise(flat, step, bits) - flat).square().sum())
        if miss < error:
            best, error = step, miss
    return best


class Exact:
    """No quantisation: the float model."""

    def __init__(self, real: RealNetwork, dtype: torch.dtype) -> None:
        self._layers, self._dtype = real.layers, dtype

    def weights(self, index: int) -> Tensor:
        weights = self._layers[index].weights
        assert weights is not None
        return weights.to(self._dtype)

    def activation(self, index: int, timestep: int, x: Tensor, bits: int) -> Tensor:
        return x

    def operand(self, index: int, timestep: int, x: Tensor) -> Tensor:
        return x


class Fake:
    """Fake quantisation by the network's integers and steps."""

    def __init__(self, real: RealNetwork, dtype: torch.dtype) -> None:
        self._layers, self._dtype = real.layers, dtype

    def weights(self, index: int) -> Tensor:
        layer = self._layers[index]
        assert layer.integers is not None and layer.scale is not None
        return (layer.integers * layer.scale[:, None, None, None]).to(self._dtype)

    def activation(self, index: int, timestep: int, x: Tensor, bits: int) -> Tensor:
        steps = self._layers[index].steps
        assert steps is not None
        return fake_quantise(x, float(steps[timestep]), bits)

    def operand(self, index: int, timestep: int, x: Tensor) -> Tensor:
        steps = self._layers[index].weight_steps
        assert steps is not None
        return fake_quantise(x, float(steps[timestep]), 8)


class Calibrating(Fake):
    """Fake quantisation that finds the steps a layer does not have yet, layer by layer."""

    def __init__(self, real: RealNetwork, dtype: torch.dtype) -> None:
        super().__init__(real, dtype)
        self.found: dict[tuple[int, str], Tensor] = {}

    def _step(self, index: int, kind: str, timestep: int, x: Tensor, bits: int,
              known: Tensor | None) -> float:
        if known is not None:
            return float(known[timestep])
        timesteps = self._layers[index].bias.shape[0]
        table = self.found.setdefault(
            (index, kind), torch.zeros(timesteps, dtype=torch.float64))
        if table[timestep] == 0:
            table[timestep] = best_step(x, bits)
        return float(table[timestep])

    def activation(self, index: int, timestep: int, x: Tensor, bits: int) -> Tensor:
        known = self._layers[index].steps
        return fake_quantise(x, self._step(index, "steps", timestep, x, bits, known), bits)

    def operand(self, index: int, timestep: int, x: Tensor) -> Tensor:
        known = self._layers[index].weight_steps
        return fake_quantise(x, self._step(index, "weight_steps", timestep, x, 8, known), 8)


def probability_steps(layer: RealLayer) -> Tensor:
    """Steps of exp(score - maximum) of a mix, float64 [T]: its own, or 1/119."""
    if layer.steps is not None:
        return layer.steps
    return torch.full((layer.bias.shape[0],), 1 / PROBABILITY_MAX, dtype=torch.float64)


def missing_steps(layer: RealLayer, product: str) -> bool:
    """Whether a step of the layer is still to be found; those of probabilities never are."""
    activation = layer.steps is None and product != "mix"
    return activation or (product != "none" and layer.weight_steps is None)
