"""How close the integers are to the fake-quantised network, and how close anything can be."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from hqdm.golden.network.interpreter import IntegerNetwork
from hqdm.learn.calibration.real import RealNetwork
from hqdm.learn.calibration.reference import Reference

NUDGE = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Fidelity:
    """Cosines with the fake-quantised network's noise, float64 [T, B].

    Members
    -------
    integers: of the integer network.
    nudged: of the fake-quantised network itself, its latent changed by a thousandth: the part of
        the roundings that no computation but the same one reproduces (docs/numerics.md, 13).
    unquantised: of the network without quantisers (a trained one keeps its integer weights).
    """

    integers: Tensor
    nudged: Tensor
    unquantised: Tensor

    def summary(self) -> dict[str, float]:
        """Mean over all calls and the worst timestep's mean of each."""
        return {f"{name}_{kind}": float(value)
                for name in ("integers", "nudged", "unquantised")
                for kind, value in (("mean", getattr(self, name).mean()),
                                    ("worst", getattr(self, name).mean(1).min()))}


def fidelity(real: RealNetwork, network: IntegerNetwork, latents: Sequence[Tensor],
             classes: Tensor | None = None, seed: int = 0) -> Fidelity:
    """Compare at every timestep, `latents[t]` [B, C, H, W] along a trajectory.

    Raises
    ------
    ValueError: latents for another number of timesteps.
    """
    if len(latents) != real.network.timesteps:
        raise ValueError(f"fidelity: wanted latents for {real.network.timesteps} timesteps, got "
                         f"{len(latents)}")
    reference, exact = Reference.quantised(real), Reference(real)
    generator = torch.Generator().manual_seed(seed)
    rows: list[list[Tensor]] = []
    for t, x in enumerate(latents):
        noise = torch.randn(x.shape, generator=generator).to(x)
        wanted = reference(x, t, classes)
        others = (network(x, t, classes), reference(x * (1 + NUDGE * noise), t, classes),
                  exact(x, t, classes))
        rows.append([F.cosine_similarity(y.double().flatten(1), wanted.double().flatten(1)).cpu()
                     for y in others])
    integers, nudged, unquantised = (torch.stack(column) for column in zip(*rows, strict=True))
    return Fidelity(integers=integers, nudged=nudged, unquantised=unquantised)
