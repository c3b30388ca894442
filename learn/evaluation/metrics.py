"""Distances of two sets of features: Frechet, kernel; the Inception Score of one. torchmetrics
computes them; features are extracted once, before.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from hqdm.learn.evaluation.extractors import wanted_package

SUBSET, SUBSETS = 1000, 50      # of the kernel distance
SPLITS = 10                     # of the Inception Score
BATCH = 1000


class Given(nn.Module):
    """An extractor whose images are features already."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width

    def forward(self, features: Tensor) -> Tensor:
        return features


def _check(real: Tensor, fake: Tensor, least: int = 2) -> None:
    for name, features in (("real", real), ("fake", fake)):
        if features.ndim != 2 or len(features) < least:
            raise ValueError(f"{name} features: wanted (n, D) with n at least {least}, got "
                             f"{tuple(features.shape)}")
        if not bool(features.isfinite().all()):
            raise ValueError(f"{name} features: wanted finite numbers, got NaN or infinity")
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"features: wanted two sets of one width, got {real.shape[1]} and "
                         f"{fake.shape[1]}")


def _metric(module: str, name: str, *args: Any, **more: Any) -> Any:
    """A torchmetrics metric, without its advice on memory."""
    wanted_package("torchmetrics")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return getattr(wanted_package(f"torchmetrics.image.{module}"), name)(*args, **more)


def _filled(metric: Any, real: Tensor, fake: Tensor) -> Any:
    metric.to(real.device)
    for features, is_real in ((real, True), (fake, False)):
        for part in features.split(BATCH):
            metric.update(part, real=is_real)
    return metric


def frechet_distance(real: Tensor, fake: Tensor) -> float:
    """|mean difference|^2 + tr(A + B - 2 (A B)^1/2); biased upwards at small n.

    Raises
    ------
    ValueError: fewer than two features, sets of different widths, NaN.
    """
    _check(real, fake)
    metric = _metric("fid", "FrechetInceptionDistance", feature=Given(real.shape[1]))
    metric.set_dtype(torch.float64)
    return float(_filled(metric, real.double(), fake.double()).compute())


def kernel_distance(real: Tensor, fake: Tensor, seed: int = 0) -> tuple[float, float]:
    """Unbiased squared MMD of the cubic kernel: mean and deviation over random subsets.

    50 subsets of 1000, or of all where there are fewer; the same for the same `seed`.
    """
    _check(real, fake)
    size = min(SUBSET, len(real), len(fake))
    metric = _metric("kid", "KernelInceptionDistance", feature=Given(real.shape[1]),
                     subsets=SUBSETS, subset_size=size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mean, deviation = _filled(metric, real, fake).compute()
    return float(mean), float(deviation)


def inception_score(scores: Tensor, seed: int = 0) -> tuple[float, float]:
    """exp of the mean divergence of p(class | image) from p(class): mean and deviation.

    Over 10 shuffled parts from n = 1000, over one (deviation 0) below. `scores` (n, K) are before
    the softmax.
    """
    _check(scores, scores)
    splits = SPLITS if len(scores) >= 100 * SPLITS else 1
    metric = _metric("inception", "InceptionScore", feature=Given(scores.shape[1]), splits=splits)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for part in scores.split(BATCH):
            metric.update(part)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)     # deviation of a single part
            mean, deviation = metric.compute()
    return float(mean), float(deviation) if splits > 1 else 0.0
