"""Fake quantisers: levels, gradients against finite differences, per-timestep selection."""

import pytest
import torch

from hqdm.learn.qat.quantiser import (
    AsymmetricQuantiser,
    FixedSteps,
    Steps,
    SymmetricQuantiser,
    WideQuantiser,
    quantise,
    round_through,
)
from hqdm.learn.qat.timestep import Timestep
from hqdm.spec.fixed import symmetric_max

LIMIT = 7
EPSILON = 1e-6


@pytest.fixture
def values():
    """Float64 values on both sides of the clipping points, none near a tie or a bound."""
    torch.manual_seed(0)
    r = torch.randn(400, dtype=torch.float64) * 4
    v = r / 0.9
    return r[((v - v.floor() - 0.5).abs() > 1e-3) & ((v.abs() - LIMIT).abs() > 1e-3)]


def test_levels_and_ties_to_even():
    r = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 6.5, 7.5, 99.0, -99.0])
    assert quantise(r, torch.tensor(1.0), -7, 14).tolist() == [0, 2, 2, 0, -2, 6, 7, 7, -7]


def test_gradient_of_the_input_is_one_inside_and_zero_outside(values):
    step = torch.tensor(0.9, dtype=torch.float64)
    r = values.clone().requires_grad_()
    (quantise(r, step, -LIMIT, 2 * LIMIT) * step).sum().backward()
    surrogate = (r.detach() / step).clamp(-LIMIT, LIMIT) * step       # rounding left out
    moved = ((r.detach() + EPSILON) / step).clamp(-LIMIT, LIMIT) * step
    torch.testing.assert_close(r.grad, (moved - surrogate) / EPSILON, atol=1e-6, rtol=0)


def test_gradient_of_the_step_is_that_of_the_rounded_surrogate(values):
    """Around a step, x(s) = s * clamp(r / s + c) with the rounding c held: what LSQ assumes."""
    at = 0.9
    step = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    (quantise(values, step, -LIMIT, 2 * LIMIT) * step.detach()).sum().backward()
    v = values / at
    inside, held = v.abs() <= LIMIT, v.round() - v

    def surrogate(s):
        return torch.where(inside, values / s + held, v.sign() * LIMIT) * s
    difference = (surrogate(at + EPSILON) - surrogate(at - EPSILON)).sum() / (2 * EPSILON)
    torch.testing.assert_close(step.grad, difference, atol=1e-5, rtol=0)


def test_gradient_of_the_step_outside_is_a_true_derivative():
    r = torch.tensor([50.0, -80.0], dtype=torch.float64)
    step = torch.tensor(0.9, dtype=torch.float64, requires_grad=True)
    (quantise(r, step, -LIMIT, 2 * LIMIT) * step.detach())[0].backward()
    assert step.grad.item() == pytest.approx(LIMIT)


def test_gradient_of_the_lower_bound_is_that_of_all_values_that_are_clamped(values):
    low = torch.tensor([[-2.0], [-4.0]], dtype=torch.float64, requires_grad=True)
    step = torch.tensor(0.9, dtype=torch.float64)
    r = values[:300].view(2, 150)
    v = r / 0.9
    quantise(r, step, low, 5).sum().backward()
    below, above = v < low.detach(), v > low.detach() + 5
    assert below.any() and above.any()
    assert low.grad.flatten().tolist() == (below | above).sum(1).tolist()


@pytest.mark.parametrize("bound", ["number", "tensor"])
def test_values_at_a_bound_are_inside(bound):
    r = torch.tensor([-2.0, 3.0, -2.001, 3.001], requires_grad=True)
    low = -2.0 if bound == "number" else torch.tensor(-2.0)
    quantise(r, torch.tensor(1.0), low, 5).sum().backward()
    assert r.grad.tolist() == [1, 1, 0, 0]


def test_gradients_of_steps_per_sample_are_summed_apart(values):
    r = values[:300].view(3, 100)
    step = torch.tensor([[0.5], [0.9], [2.0]], dtype=torch.float64, requires_grad=True)
    quantise(r, step, -LIMIT, 2 * LIMIT).sum().backward()
    for i, row in enumerate(r):
        alone = step[i].detach().clone().requires_grad_()
        quantise(row, alone, -LIMIT, 2 * LIMIT).sum().backward()
        torch.testing.assert_close(step.grad[i], alone.grad)


def test_round_through():
    x = torch.tensor([0.4, 0.5, 1.5], requires_grad=True)
    y = round_through(x)
    y.sum().backward()
    assert y.tolist() == [0, 0, 2] and x.grad.tolist() == [1, 1, 1]


def test_steps_stay_positive_and_are_indexed():
    """A gradient step that would take a plain number below zero only makes it smaller."""
    steps = Steps(3)
    steps.assign(slice(None), torch.tensor([0.5, 1.0, 2.0]))
    torch.testing.assert_close(steps.at(torch.tensor([2, 0])), torch.tensor([2.0, 0.5]))
    before = steps.all().detach()
    (10 * steps.all().sum()).backward()
    torch.optim.SGD(steps.parameters(), lr=1.0).step()
    assert bool(((steps.all() > 0) & (steps.all() < before)).all())


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_symmetric_quantiser_selects_the_step_of_the_timestep(bits):
    timestep = Timestep([30, 20, 10])
    quantiser = SymmetricQuantiser(bits, timestep)
    quantiser.steps = FixedSteps(torch.tensor([1.0, 2.0, 4.0]))
    r = torch.linspace(-600, 600, 41).view(1, 41)
    limit = symmetric_max(bits)
    for entry, step in enumerate((1.0, 2.0, 4.0)):
        timestep.index = torch.tensor(entry)
        q, scale = quantiser(r)
        assert scale.item() == step
        assert torch.equal(q, (r / step).round().clamp(-limit, limit))
    timestep.index = torch.tensor([2, 0])
    q, scale = quantiser(r.repeat(2, 1))
    assert scale.shape == (2, 1) and scale.flatten().tolist() == [4, 1]
    assert torch.equal(q[0], (r[0] / 4).round().clamp(-limit, limit))


def test_only_the_selected_step_gets_a_gradient():
    timestep = Timestep([30, 20, 10])
    quantiser = SymmetricQuantiser(4, timestep)
    timestep.index = torch.tensor([1, 1])
    quantiser(torch.randn(2, 50))[0].square().sum().backward()
    gradient = quantiser.steps.log.grad
    assert gradient[1] != 0 and gradient[0] == gradient[2] == 0


def test_asymmetric_quantiser_uses_every_level():
    timestep = Timestep([1])
    quantiser = AsymmetricQuantiser(4, timestep)
    r = torch.linspace(-0.3, 2.9, 1000).view(1, -1)
    with timestep.observation():
        quantiser(r)
    q, scale = quantiser(r)
    assert 15 <= len(q.unique()) <= 16
    assert (q * scale - r).abs().max() < 0.75 * scale
    assert quantiser(torch.zeros(1, 1))[0].item() == 0      # padding zeros are exact
    assert not r.requires_grad and quantiser.zero.requires_grad


@pytest.mark.parametrize(("drifted", "zero"), [(-3.0, 0), (19.0, 15), (6.6, 7)])
def test_zero_is_always_a_level(drifted, zero):
    """A zero point trained out of range is used, and frozen, as the nearest one in range."""
    quantiser = AsymmetricQuantiser(4, Timestep([1]))
    quantiser.zero.data[:] = drifted
    r = torch.tensor([[-100.0, 0.0, 100.0]])
    assert quantiser(r)[0].tolist() == [[-zero, 0, 15 - zero]]
    quantiser(r)[0].sum().backward()
    assert quantiser.zero.grad.item() == -2     # both clamped values move with it
    quantiser.freeze([0])
    assert quantiser.zero.tolist() == [zero]


def test_unsupported_bits():
    with pytest.raises(ValueError, match="ranged: wanted 2, 3 or 4 bits, got 8"):
        AsymmetricQuantiser(8, Timestep([1]))
    with pytest.raises(ValueError, match=r"activation bits: wanted one of .* got 5"):
        SymmetricQuantiser(5, Timestep([1]))


def test_the_latent_is_not_clipped():
    timestep = Timestep((5, 3))
    quantiser = WideQuantiser(8, timestep)
    r = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(3))
    with timestep.observation():
        timestep.index = torch.tensor(1)
        quantiser(r)
    q, step = quantiser(1.49 * r)
    assert not quantiser.steps.log.requires_grad
    assert 117 <= int(q.abs().max()) <= 119
    assert float((q * step - 1.49 * r).abs().max()) <= float(step) / 2 * 1.0001
