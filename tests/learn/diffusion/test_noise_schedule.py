"""What is kept of a scheduler: the noise schedule of any of diffusers' that has one."""

from dataclasses import asdict

import diffusers
import pytest
import torch

from hqdm.learn.diffusion.noise_schedule import NoiseSchedule, schedule_of
from hqdm.learn.diffusion.sampler import make_scheduler, run_ddim, timesteps_of
from hqdm.spec.plain import from_plain, to_plain

BETAS = {"num_train_timesteps": 1000, "beta_schedule": "linear"}


def config_of(name, **options):
    made = getattr(diffusers, name)(**options)
    return {"_class_name": name} | dict(made.config)


@pytest.mark.parametrize(("name", "options"), [
    ("DDPMScheduler", {}), ("DDIMScheduler", {"beta_schedule": "squaredcos_cap_v2"}),
    ("DDPMScheduler", {"beta_schedule": "scaled_linear", "prediction_type": "v_prediction",
                       "timestep_spacing": "trailing"}),
    ("PNDMScheduler", {"skip_prk_steps": True, "steps_offset": 1}),
    ("EulerDiscreteScheduler", {"beta_start": 0.00085, "beta_end": 0.012}),
    ("DPMSolverMultistepScheduler", {"prediction_type": "sample"})])
def test_the_betas_are_the_schedulers(name, options):
    """Whatever sampler the folder was saved with, DDIM goes along the same noise."""
    config = config_of(name, **options)
    schedule = schedule_of(config)
    ours, theirs = make_scheduler(schedule), getattr(diffusers, name)(**options)
    assert torch.equal(ours.alphas_cumprod, theirs.alphas_cumprod)
    assert schedule.prediction_type == config.get("prediction_type", "epsilon")
    assert schedule.clip_sample is config.get("clip_sample", False)
    assert schedule.timestep_spacing in ("leading", "trailing")
    assert from_plain(NoiseSchedule, to_plain(schedule)) == schedule


def test_what_is_not_said_is_the_default_of_its_class():
    assert schedule_of({"_class_name": "DDPMScheduler"} | BETAS) == NoiseSchedule(
        beta_start=0.0001, beta_end=0.02, beta_schedule="linear", steps_offset=0,
        clip_sample=True, set_alpha_to_one=True)
    assert not schedule_of({"_class_name": "PNDMScheduler"} | BETAS).set_alpha_to_one
    assert not schedule_of({"_class_name": "EulerDiscreteScheduler"} | BETAS).clip_sample


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_a_perfect_network_ends_at_its_picture(prediction):
    """Every kind of prediction, told the truth, gives the picture back from any noise."""
    schedule = NoiseSchedule(beta_start=0.0001, beta_end=0.02, beta_schedule="linear",
                             steps_offset=0, set_alpha_to_one=True, prediction_type=prediction)
    alphas = make_scheduler(schedule).alphas_cumprod.double()
    random = torch.Generator().manual_seed(1)
    picture, x = (torch.randn(2, 3, 4, 6, generator=random, dtype=torch.float64) for _ in "ab")

    def predict(latents, t, labels):
        alpha = alphas[int(t)]
        noise = (latents - alpha.sqrt() * picture) / (1 - alpha).sqrt()
        return {"epsilon": noise, "sample": picture,
                "v_prediction": alpha.sqrt() * noise - (1 - alpha).sqrt() * picture}[prediction]

    got = run_ddim(predict, x, torch.zeros(2, dtype=torch.int64), 10, schedule=schedule)
    torch.testing.assert_close(got, picture, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("wrong", "error", "text"), [
    ({"beta_start": "x"}, TypeError, "beta_start: wanted float, got 'x'"),
    ({"clip_sample": 1}, TypeError, "clip_sample: wanted bool, got 1"),
    ({"steps_offset": True}, TypeError, "steps_offset: wanted int, got True"),
    ({"beta_end": float("nan")}, ValueError, r"beta_end: wanted 0\.\.1, got nan"),
    ({"num_train_timesteps": 10 ** 9}, ValueError, r"wanted 1\.\.100000, got 1000000000"),
    ({"beta_schedule": "sigmoid"}, ValueError, "wanted one of linear, scaled_linear, squared"),
    ({"prediction_type": "flow"}, ValueError, "wanted one of epsilon, v_prediction, sample, got"),
    ({"timestep_spacing": "linspace"}, ValueError, "wanted one of leading, trailing, got 'lins"),
    ({"rescale_betas_zero_snr": True}, ValueError, "wanted a prediction_type of v_prediction or"),
])
def test_schedules_that_are_refused(wrong, error, text):
    with pytest.raises(error, match=text):
        NoiseSchedule(**wrong)


@pytest.mark.parametrize(("config", "text"), [
    (config_of("FlowMatchEulerDiscreteScheduler"),
     r"wanted a noise schedule of betas .* got a FlowMatchEulerDiscreteScheduler without one"),
    (BETAS | {"trained_betas": [0.1]}, "trained_betas: wanted a beta_schedule by name, got")])
def test_schedulers_that_are_refused(config, text):
    with pytest.raises(ValueError, match=text):
        schedule_of(config)


def test_steps_that_leave_the_schedule():
    """An offset of 1 moves the first of a thousand steps past the last timestep."""
    assert timesteps_of(make_scheduler(), 500)[0] == 999
    with pytest.raises(ValueError, match=r"wanted timesteps in 0\.\.999, got 1000 with 1000 steps"):
        timesteps_of(make_scheduler(), 1000)
    assert asdict(NoiseSchedule())["steps_offset"] == 1
