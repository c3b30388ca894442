"""Calibration: steps that are still missing, and the ranges that choose the exponents."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from hqdm.golden.network.interpreter import IntegerNetwork
from hqdm.learn.calibration.integers import integer_network
from hqdm.learn.calibration.quantisers import Calibrating, Fake, missing_steps
from hqdm.learn.calibration.ranges import Ranges
from hqdm.learn.calibration.real import RealNetwork
from hqdm.learn.calibration.reference import Reference


def _check(real: RealNetwork, latents: Sequence[Tensor]) -> None:
    if len(latents) != real.network.timesteps:
        raise ValueError(f"calibration: wanted latents for {real.network.timesteps} timesteps, "
                         f"got {len(latents)}")


def calibrate_steps(real: RealNetwork, latents: Sequence[Tensor], classes: Tensor | None = None,
                    dtype: torch.dtype = torch.float32) -> RealNetwork:
    """The network with every step: those it has not are fitted, layer by layer.

    Each layer sees the already quantised outputs of those before it; the step, with free ranges
    also the bounds, is that of least squared error of the rotated activations of that timestep.

    Parameters
    ----------
    latents: [B, C, H, W] for each timestep, as a sampler meets them.
    classes: int64 [B].
    """
    _check(real, latents)
    if not any(missing_steps(layer, node.layer.multiply.product)
               for layer, node in zip(real.layers, real.network.nodes, strict=True)):
        return real
    quantiser = Calibrating(real, dtype)
    reference = Reference(real, quantiser, dtype)
    for t, batch in enumerate(latents):
        reference(batch, t, classes)
    layers = list(real.layers)
    for (index, kind), table in quantiser.found.items():
        found: dict[str, Any] = {kind: table}
        layers[index] = replace(layers[index], **found)
    return replace(real, layers=tuple(layers))


def find_ranges(real: RealNetwork, latents: Sequence[Tensor], classes: Tensor | None = None,
                dtype: torch.dtype = torch.float32) -> Ranges:
    """Largest magnitudes per layer and timestep in the fake-quantised network."""
    _check(real, latents)
    ranges = Ranges(real.network.timesteps)
    reference = Reference(real, Fake(real, dtype), dtype, ranges)
    for t, batch in enumerate(latents):
        ranges.timestep = t
        ranges.see(-1, "output", batch.abs().amax())
        reference(batch, t, classes)
    return ranges


def quantise(real: RealNetwork, latents: Sequence[Tensor], classes: Tensor | None = None,
             ) -> tuple[RealNetwork, IntegerNetwork]:
    """(the network with all steps, its integers): `calibrate_steps`, `find_ranges`, exponents."""
    with_steps = calibrate_steps(real, latents, classes)
    return with_steps, integer_network(with_steps, find_ranges(with_steps, latents, classes))
