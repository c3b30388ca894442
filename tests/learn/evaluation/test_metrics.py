"""Metrics of features against known values."""

import math

import pytest
import torch

from hqdm.learn.evaluation.metrics import frechet_distance, inception_score, kernel_distance
from hqdm.learn.evaluation.neighbours import precision_recall, radii


def features(seed: int, n: int = 400, width: int = 8) -> torch.Tensor:
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed))


def test_frechet_distance_of_equal_sets_is_zero():
    assert abs(frechet_distance(features(1), features(1))) < 1e-9


def test_frechet_distance_of_shifted_and_scaled_sets():
    a = features(1)
    assert frechet_distance(a, a + 2) == pytest.approx(8 * 4, rel=1e-5)
    spread = float(a.double().var(0).sum())     # (1 - 3)^2 of every variance
    mean = float(a.double().mean(0).square().sum())
    assert frechet_distance(a, 3 * a) == pytest.approx(4 * spread + 4 * mean, rel=1e-5)


def test_kernel_distance_is_unbiased():
    found = [kernel_distance(features(2 * i), features(2 * i + 1))[0] for i in range(8)]
    mean, deviation = torch.tensor(found).mean(), torch.tensor(found).std()
    assert abs(mean) < 3 * deviation / math.sqrt(len(found))
    assert min(found) < 0 < max(found)
    assert kernel_distance(features(1), features(2) + 1)[0] > 20 * deviation


def test_kernel_distance_of_all_is_the_formula():
    a, b = features(1, 50).double(), features(2, 50).double()

    def kernel(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3
    n = len(a)
    inside = sum(float(k.sum() - k.diag().sum()) for k in (kernel(a, a), kernel(b, b)))
    wanted = inside / (n * (n - 1)) - 2 * float(kernel(a, b).mean())
    assert kernel_distance(a, b)[0] == pytest.approx(wanted, rel=1e-6)


def test_kernel_distance_repeats():
    a, b = features(1, 1200), features(2, 1200)
    before = torch.get_rng_state()
    assert kernel_distance(a, b) == kernel_distance(a, b) != kernel_distance(a, b, seed=1)
    assert torch.equal(before, torch.get_rng_state())


def test_inception_score():
    sure = 100 * torch.eye(10).repeat(3, 1)
    assert inception_score(sure)[0] == pytest.approx(10, rel=1e-4)
    assert inception_score(torch.zeros(30, 10)) == pytest.approx((1, 0), abs=1e-6)
    mean, deviation = inception_score(features(1, 1000))
    assert deviation > 0 and mean > 1


def test_precision_and_recall():
    line = torch.arange(20.0)[:, None]
    assert precision_recall(line, line) == (1, 1)
    assert precision_recall(line, line + 1000) == (0, 0)
    assert torch.equal(radii(line, 2)[:3], torch.tensor([2.0, 1.0, 1.0]))
    inner = line[8:14] / 100 + 8.9
    precision, recall = precision_recall(line, inner, k=2)
    assert precision == 1 and recall == pytest.approx(1 / 20)


def test_precision_and_recall_do_not_depend_on_blocks(monkeypatch):
    whole = precision_recall(features(1, 90), features(2, 70))
    monkeypatch.setattr("hqdm.learn.evaluation.neighbours.ROWS", 7)
    assert precision_recall(features(1, 90), features(2, 70)) == whole


@pytest.mark.parametrize("metric", [frechet_distance, kernel_distance])
def test_bad_features(metric):
    with pytest.raises(ValueError, match=r"with n at least 2, got \(1, 8\)"):
        metric(features(1), features(1, 1))
    with pytest.raises(ValueError, match="two sets of one width, got 8 and 7"):
        metric(features(1), features(1, 50, 7))
    with pytest.raises(ValueError, match="wanted finite numbers, got NaN"):
        metric(features(1), features(1) * math.nan)


def test_too_few_neighbours():
    with pytest.raises(ValueError, match=r"real features: .* n more than 5, got \(5, 8\)"):
        precision_recall(features(1, 5), features(1))
