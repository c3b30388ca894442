"""Improved precision and recall (Kynkaanniemi et al., 2019), as PyPI's prdc computes them.

torchmetrics has neither. A point is covered by a set if it lies within the distance of one of the
set's points to that point's k-th neighbour. Exact, in blocks of rows.
"""

import torch
from torch import Tensor

NEIGHBOURS = 5      # prdc's nearest_k
ROWS = 2000


def radii(features: Tensor, k: int = NEIGHBOURS) -> Tensor:
    """Distance of each of (n, D) to its k-th neighbour among the others: (n,)."""
    return torch.cat([_distances(part, features).kthvalue(k + 1, dim=1).values
                      for part in features.split(ROWS)])


def covered(points: Tensor, features: Tensor, radius: Tensor) -> float:
    """Part of `points` within the `radius` of at least one of `features`."""
    inside = [(_distances(part, features) <= radius).any(1) for part in points.split(ROWS)]
    return float(torch.cat(inside).double().mean())


def precision_recall(real: Tensor, fake: Tensor, k: int = NEIGHBOURS) -> tuple[float, float]:
    """(part of the fake among the real, part of the real among the fake).

    Raises
    ------
    ValueError: no more than k features in a set.
    """
    for name, features in (("real", real), ("fake", fake)):
        if features.ndim != 2 or len(features) <= k:
            raise ValueError(f"{name} features: wanted (n, D) with n more than {k}, got "
                             f"{tuple(features.shape)}")
    return covered(fake, real, radii(real, k)), covered(real, fake, radii(fake, k))


def _distances(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b, compute_mode="use_mm_for_euclid_dist")
