"""Budgets, learning rate, decay of the average, batches and timesteps."""

import math

import pytest
import torch

from hqdm.learn.diffusion.sampler import make_scheduler
from hqdm.learn.train.batches import Batches, generator
from hqdm.learn.train.losses import gradient_loss, snr_weights, stratified_timesteps
from hqdm.learn.train.schedule import Budget, ema_decay, rate


def test_rate_warms_up_then_falls_as_half_a_cosine():
    assert rate(0, 0, 1.0, 10) == 0.1 and rate(9, 0, 1.0, 10) == 1.0
    assert rate(4, 0.02, 1.0, 100, floor=1) == pytest.approx(0.4)    # a short budget
    assert rate(100, 0.5, 2.0, 10, floor=0) == pytest.approx(1.0)
    assert rate(100, 1.0, 2.0, 10) == pytest.approx(0.02)
    want = [(1 + math.cos(math.pi * i / 7)) / 2 for i in range(8)]
    assert [rate(99, i / 7, 1.0, 0, floor=0) for i in range(8)] == pytest.approx(want)


def test_rate_agrees_with_torch():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=3.0)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20, eta_min=0.03)
    for step in range(20):
        assert rate(step, step / 20, 3.0, 1) == pytest.approx(cosine.get_last_lr()[0])
        optimizer.step()
        cosine.step()


def test_budget_in_steps():
    budget = Budget(steps=200)
    assert budget.progress(50, 1e9) == 0.25 and budget.progress(300, 0) == 1
    assert budget.total_steps(50, 10, 2) == 200


def test_budget_in_minutes():
    budget = Budget(minutes=2)
    assert budget.progress(10 ** 9, 30) == 0.25 and budget.progress(0, 121) == 1
    assert budget.total_steps(100, 60, 0.5) == 100 + 120


@pytest.mark.parametrize("arguments,message", [
    ({}, "wanted one of steps and minutes, got steps=None minutes=None"),
    ({"steps": 1, "minutes": 1}, "wanted one of steps and minutes, got steps=1 minutes=1"),
    ({"steps": 0}, "steps: wanted at least 1, got 0"),
    ({"minutes": 0}, "minutes: wanted more than 0, got 0"),
    ({"minutes": math.nan}, "minutes: wanted more than 0, got nan")])
def test_bad_budgets(arguments, message):
    with pytest.raises(ValueError, match=message):
        Budget(**arguments)


def test_average_is_a_tenth_of_the_training_wide():
    assert ema_decay(1) == 0
    for last in (100, 1000):
        weights, total = [], 1.0
        for step in range(last, 0, -1):
            decay = ema_decay(step, limit=1)
            weights.append(total * (1 - decay))
            total *= decay
        at = [step / last for step in range(last, 0, -1)]
        mean = sum(w * a for w, a in zip(weights, at, strict=True))
        width = sum(w * (a - mean) ** 2 for w, a in zip(weights, at, strict=True)) ** 0.5
        assert sum(weights) == pytest.approx(1) and width == pytest.approx(0.1, abs=0.01)
    assert ema_decay(10 ** 9) == 0.9999


def test_batches_see_everything_once_an_epoch():
    batches = Batches(10, 3, seed=1, device="cpu")
    epochs = [torch.cat([batches(3 * e + i) for i in range(3)]) for e in range(2)]
    assert all(len(set(epoch.tolist())) == 9 for epoch in epochs)
    assert not torch.equal(*epochs)
    assert torch.equal(Batches(10, 3, 1, "cpu")(4), batches(4))
    assert not torch.equal(Batches(10, 3, 2, "cpu")(4), batches(4))
    assert len(Batches(2, 5, 1, "cpu")(7)) == 2
    with pytest.raises(ValueError, match="wanted data and a batch of at least 1, got 0 items"):
        Batches(0, 5, 1, "cpu")


def test_random_numbers_depend_on_seed_and_step():
    draw = {(seed, step): torch.rand(1, generator=generator(seed, step)).item()
            for seed in (0, 1) for step in (0, 1)}
    assert len(set(draw.values())) == 4
    assert torch.rand(1, generator=generator(1, 1)).item() == draw[1, 1]


def test_timesteps_are_spread_evenly():
    steps = stratified_timesteps(100, 1000, generator(0, 0))
    assert torch.equal(steps // 10, torch.arange(100))
    assert len((steps % 10).unique()) == 10
    assert stratified_timesteps(3000, 1000, generator(0, 1)).aminmax() == (0, 999)


def test_snr_weights():
    weights = snr_weights(make_scheduler().alphas_cumprod)
    a = make_scheduler().alphas_cumprod
    assert torch.equal(weights[-1], torch.ones(())) and weights.diff().min() >= 0
    assert weights[0].item() == pytest.approx(5 * (1 - a[0].item()) / a[0].item(), rel=1e-4)


def test_gradient_loss():
    image = torch.rand(2, 3, 8, 8, generator=generator(0, 0))
    assert gradient_loss(image, image) == 0
    assert gradient_loss(image + 1, image) < 1e-6       # blind to brightness
    step = torch.zeros(1, 1, 4, 4)
    step[..., 2:] = 3.0
    assert gradient_loss(step, torch.zeros_like(step), 1) == pytest.approx(1.0)
    assert gradient_loss(step, torch.zeros_like(step), 2) == pytest.approx((1.0 + 3.0) / 2)
