"""Quantisers of the reference: none, the given steps, or steps calibrated on the way."""

from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor

from hqdm.learn.calibration.real import RealLayer, RealNetwork
from hqdm.learn.qat.search import search_asymmetric, search_symmetric, widest_step
from hqdm.spec import Load
from hqdm.spec.fixed import symmetric_max

PROBABILITY_MAX = symmetric_max(8)      # exp(0) = 1 is quantised to Q


class Quantiser(Protocol):
    """What the reference executor asks at each product; `index` is the layer's place."""

    def weights(self, index: int) -> Tensor:
        """Weights of the layer, real numbers."""

    def activation(self, index: int, timestep: int, x: Tensor, bits: int) -> Tensor:
        """The activation `x`, rotated by the orthogonal matrix, quantised and scaled back."""

    def operand(self, index: int, timestep: int, x: Tensor) -> Tensor:
        """The operand in the weights' place, 8 bits."""


def fake_quantise(x: Tensor, step: float, low: int, high: int) -> Tensor:
    """clamp(round(x / step), low, high) * step."""
    return (x / step).round().clamp(low, high) * step


def symmetric(x: Tensor, step: float, bits: int) -> Tensor:
    """`fake_quantise` with the bounds -Q and Q."""
    limit = symmetric_max(bits)
    return fake_quantise(x, step, -limit, limit)


def bounds(layer: RealLayer, load: Load) -> tuple[Tensor, Tensor]:
    """(low, high) of the quantised activations, int64 [T].

    Raises
    ------
    ValueError: free bounds that are still to be found.
    """
    if load.ranged:
        if layer.low is None or layer.high is None:
            raise ValueError("wanted bounds of the activation, got none")
        return layer.low, layer.high
    limit = torch.full((layer.bias.shape[0],), load.quant_max)
    return -limit, limit


def best_range(x: Tensor, bits: int) -> tuple[float, int, int]:
    """(step, low, high) of least squared error, with all 2**bits levels (hqdm.learn.qat.search)."""
    levels = (1 << bits) - 1
    step, zero = search_asymmetric(x, levels)
    below = int(zero)
    return max(float(step), 1e-9), -below, levels - below


def best_step(x: Tensor, bits: int) -> float:
    """The step of least squared error (hqdm.learn.qat.search)."""
    return max(float(search_symmetric(x, symmetric_max(bits))), 1e-9)


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
    """Fake quantisation by the network's integers, steps and bounds.

    Its rotations are orthogonal, so that energies are kept; the steps are the load unit's, of an
    unnormalised rotation, larger by 1 / `_norm`.
    """

    def __init__(self, real: RealNetwork, dtype: torch.dtype) -> None:
        self._layers, self._dtype = list(real.layers), dtype
        self._loads = [node.layer.load for node in real.network.nodes]

    def _norm(self, index: int) -> float:
        return 2.0 ** (-self._loads[index].order / 2)

    def weights(self, index: int) -> Tensor:
        layer = self._layers[index]
        assert layer.integers is not None and layer.scale is not None
        return (layer.integers * layer.scale[:, None, None, None]).to(self._dtype)

    def activation(self, index: int, timestep: int, x: Tensor, bits: int) -> Tensor:
        steps = self._layers[index].steps
        assert steps is not None
        low, high = bounds(self._layers[index], self._loads[index])
        step = float(steps[timestep]) * self._norm(index)
        return fake_quantise(x, step, int(low[timestep]), int(high[timestep]))

    def operand(self, index: int, timestep: int, x: Tensor) -> Tensor:
        steps = self._layers[index].weight_steps
        assert steps is not None
        return symmetric(x, float(steps[timestep]), 8)


class Calibrating(Fake):
    """Fake quantisation that finds the steps and bounds a layer has not yet, layer by layer.

    Members
    -------
    found: (layer, "steps", "low", "high" or "weight_steps") -> table of T entries.
    """

    def __init__(self, real: RealNetwork, dtype: torch.dtype) -> None:
        super().__init__(real, dtype)
        self.found: dict[tuple[int, str], Tensor] = {}
        self._done: set[tuple[int, str, int]] = set()

    def _keep(self, index: int, timestep: int, **values: float) -> None:
        """Enter what was found into the tables, and into the layer."""
        size = self._layers[index].bias.shape[0]
        for kind, value in values.items():
            dtype = torch.float64 if kind.endswith("steps") else torch.int64
            table = self.found.setdefault((index, kind), torch.zeros(size, dtype=dtype))
            table[timestep] = value
        tables: dict[str, Any] = {kind: self.found[index, kind] for kind in values}
        self._layers[index] = replace(self._layers[index], **tables)

    def _first(self, index: int, kind: str, timestep: int) -> bool:
        """Whether this step is to be found: not given, and not found before."""
        if (index, kind) not in self.found and getattr(self._layers[index], kind) is not None:
            return False
        new = (index, kind, timestep) not in self._done
        self._done.add((index, kind, timestep))
        return new

    def activation(self, index: int, timestep: int, x: Tensor, bits: int) -> Tensor:
        if self._first(index, "steps", timestep):
            norm = self._norm(index)
            if index == 0 and bits == 8:    # the latent: hqdm.learn.qat.quantiser.WideQuantiser
                wide = widest_step(x, symmetric_max(bits))
                self._keep(index, timestep, steps=float(wide) / norm)
            elif self._loads[index].ranged:
                step, low, high = best_range(x, bits)
                self._keep(index, timestep, steps=step / norm, low=low, high=high)
            else:
                self._keep(index, timestep, steps=best_step(x, bits) / norm)
        return super().activation(index, timestep, x, bits)

    def operand(self, index: int, timestep: int, x: Tensor) -> Tensor:
        if self._first(index, "weight_steps", timestep):
            self._keep(index, timestep, weight_steps=best_step(x, 8))
        return super().operand(index, timestep, x)


def probability_steps(layer: RealLayer) -> Tensor:
    """Steps of exp(score - maximum) of a mix, float64 [T]: its own, or 1/Q."""
    if layer.steps is not None:
        return layer.steps
    return torch.full((layer.bias.shape[0],), 1 / PROBABILITY_MAX, dtype=torch.float64)


def missing_steps(layer: RealLayer, product: str) -> bool:
    """Whether a step of the layer is still to be found; those of probabilities never are."""
    activation = layer.steps is None and product != "mix"
    return activation or (product != "none" and layer.weight_steps is None)
