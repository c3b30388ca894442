"""The sampler against diffusers, by hand, and against itself."""

import pytest
import torch
from diffusers import DDIMScheduler

from hqdm.learn.diffusion.presets import unet_preset
from hqdm.learn.diffusion.sampler import (
    guided,
    initial_noise,
    make_scheduler,
    run_ddim,
    sample_latents,
)
from hqdm.learn.diffusion.unet import make_unet


def model(seed=1):
    made = make_unet(unet_preset("tiny"), seed).eval()
    torch.nn.init.normal_(made.unet.conv_out.weight, std=0.1,
                          generator=torch.Generator().manual_seed(seed))
    return made


def test_schedule_is_the_closed_form():
    betas = torch.linspace(0.0015 ** 0.5, 0.0195 ** 0.5, 1000, dtype=torch.float64) ** 2
    alphas = torch.cumprod(1 - betas, 0)
    torch.testing.assert_close(make_scheduler().alphas_cumprod.double(), alphas, rtol=1e-4,
                               atol=1e-7)


def test_twenty_steps_are_every_fifth_of_a_hundred():
    few, many = make_scheduler(), make_scheduler()
    few.set_timesteps(20)
    many.set_timesteps(100)
    assert few.timesteps.tolist() == list(range(951, 0, -50))
    assert few.timesteps.tolist() == many.timesteps.tolist()[4::5]


def test_steps_agree_with_the_formula_of_ddim():
    a = make_scheduler().alphas_cumprod.double()
    x = initial_noise(2, (4, 16, 16), 3)
    labels = torch.zeros(2, dtype=torch.int64)
    result = run_ddim(lambda latents, t, y: 0.1 * latents + 1e-4 * t, x, labels, 20)
    want = x.double()
    for t in range(951, 0, -50):
        eps = 0.1 * want + 1e-4 * t
        clean = (want - (1 - a[t]).sqrt() * eps) / a[t].sqrt()
        before = a[t - 50] if t > 50 else a[0]
        want = before.sqrt() * clean + (1 - before).sqrt() * eps
    torch.testing.assert_close(result.double(), want, rtol=1e-3, atol=1e-3)


def test_sampling_agrees_with_a_loop_over_diffusers():
    net, labels = model(), torch.tensor([1, 7])
    got = sample_latents(net, labels, steps=4, guidance=1, seed=5)
    scheduler: DDIMScheduler = make_scheduler()
    scheduler.set_timesteps(4)
    x = initial_noise(2, (4, 16, 16), 5)
    with torch.no_grad():
        for t in scheduler.timesteps:
            x = scheduler.step(net(x, t, labels), t, x).prev_sample
    assert torch.equal(got, x)


def test_same_seed_same_bits_whatever_the_batch():
    net, labels = model(), torch.tensor([0, 3, 9])
    first = sample_latents(net, labels, steps=3, seed=11)
    assert torch.equal(first, sample_latents(net, labels, steps=3, seed=11))
    parts = sample_latents(net, labels, steps=3, seed=11, batch=2)
    torch.testing.assert_close(first, parts, rtol=1e-4, atol=1e-4)
    assert not torch.equal(first, sample_latents(net, labels, steps=3, seed=12))
    assert torch.equal(initial_noise(3, (2,), 4)[:2], initial_noise(2, (2,), 4))


def test_guidance_extrapolates_from_the_null_class():
    def predict(latents, timesteps, labels):
        return labels.view(-1, 1).float().expand_as(latents)
    noise = guided(predict, 10, 3.0)
    got = noise(torch.zeros(2, 4), torch.tensor(1), torch.tensor([2, 5]))
    assert got[:, 0].tolist() == [10 + 3 * (2 - 10), 10 + 3 * (5 - 10)]
    assert guided(predict, 10, 1) is predict


def test_watch_sees_every_step():
    seen = []
    run_ddim(lambda x, t, y: x, torch.zeros(1, 1), torch.zeros(1), 4,
             lambda index, t, latents: seen.append((index, t, tuple(latents.shape))))
    assert seen == [(0, 751, (1, 1)), (1, 501, (1, 1)), (2, 251, (1, 1)), (3, 1, (1, 1))]


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"labels: wanted 0\.\.10, got 0\.\.11"):
        sample_latents(model(), torch.tensor([0, 11]))
    with pytest.raises(ValueError, match=r"steps: wanted 1\.\.1000, got 0"):
        sample_latents(model(), torch.tensor([0]), steps=0)
