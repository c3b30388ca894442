"""Weights: frozen plus low rank, merged before they are quantised."""

import pytest
import torch

from hqdm.learn.qat.lora import LowRank, TrainedWeight
from hqdm.learn.qat.rotation import rotate
from hqdm.learn.qat.timestep import Timestep
from hqdm.spec.fixed import symmetric_max


def trained(weight, bits=4, order=0, rank=4):
    return TrainedWeight(weight, bits=bits, rank=rank, order=order, timestep=Timestep([1]),
                         generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=[(12, 8), (12, 8, 3, 3)])
def weight(request):
    return torch.randn(request.param, generator=torch.Generator().manual_seed(5))


def test_the_correction_starts_at_zero_and_merges(weight):
    lora = LowRank(weight, 4, torch.Generator().manual_seed(0))
    assert torch.equal(lora(), weight)
    with torch.no_grad():
        lora.b.normal_()
    product = (lora.b @ lora.a).view_as(weight)
    torch.testing.assert_close(lora(), weight + product)
    assert torch.linalg.matrix_rank(product.flatten(1)) == 4
    assert "weight" not in dict(lora.named_parameters())


def test_rank_is_at_most_the_matrix(weight):
    assert LowRank(weight, 99, torch.Generator()).a.shape[0] == min(12, weight[0].numel())


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_integers_per_channel(weight, bits):
    module = trained(weight, bits)
    q, scale = module()
    assert scale.shape == (12,) and q.shape == weight.shape
    assert torch.equal(q, q.round()) and q.abs().max() == symmetric_max(bits)
    wide = scale.view(-1, *[1] * (weight.dim() - 1))
    relative = (q * wide - weight).square().mean() / weight.square().mean()
    assert relative < {2: 0.25, 3: 0.06, 4: 0.015, 8: 1e-4}[bits]
    frozen = module.freeze()
    assert frozen.integers.dtype == torch.int8
    assert all(torch.equal(a, b) for a, b in zip(frozen(), (q, scale), strict=True))


def test_every_trainable_gets_a_gradient(weight):
    module = trained(weight)
    with torch.no_grad():
        module.merged.b.normal_(std=0.01)
    q, scale = module()
    (q * scale.view(-1, *[1] * (weight.dim() - 1))).square().sum().backward()
    gradients = {n: p.grad for n, p in module.named_parameters()}
    assert set(gradients) == {"merged.a", "merged.b", "steps.log"}
    assert all(bool(g.ne(0).all()) for g in gradients.values())


def test_rotated_weights(weight):
    """Double Hadamard: x W = (x H)(H W) / 2^k."""
    module = trained(weight, 8, order=3)
    torch.testing.assert_close(rotate(module.value(), 3, 1), weight, atol=1e-5, rtol=0)
