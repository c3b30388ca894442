"""Recorded trajectories: those of diffusers' sampler, kept on disk, refused if foreign."""

from dataclasses import replace

import pytest
import torch

from hqdm.learn.diffusion.sampler import guided, initial_noise, run_ddim
from hqdm.learn.qat.calibrate import calibrate
from hqdm.learn.qat.convert import convert
from hqdm.learn.qat.methods import make_method
from hqdm.learn.qat.quantiser import SymmetricQuantiser
from hqdm.learn.qat.trajectory import Teacher, Trajectories, predict, record


def test_shapes(teacher, data):
    assert data.latents.shape == (6, 10, 4, 8, 8)
    assert data.noise.shape == (6, 10, 2, 4, 8, 8)
    assert data.labels.max() < 3 and data.schedule == teacher.schedule(10)


def test_what_is_kept_is_what_the_teacher_saw_and_said(teacher, data):
    """Two samples of the stored latents give the stored noise, class and null class."""
    for half in (0, 1):
        rows = data.labels[:2] if half == 0 else torch.full((2,), 3)
        with torch.no_grad():
            noise = predict(teacher.unet, data.latents[:2, 4].float(), data.schedule[4],
                            teacher.tokens[rows][:, None])
        torch.testing.assert_close(noise, data.noise[:2, 4, half].float(), atol=2e-3, rtol=2e-3)


def test_steps_are_those_of_the_sampler(teacher, data):
    """The end of the trajectory agrees with guided DDIM, but for the half precision kept."""
    def noise(latents, timesteps, labels):
        return predict(teacher.unet, latents, timesteps, teacher.tokens[labels][:, None])
    seen = []
    run_ddim(guided(noise, 3, 2.0), data.latents[:, 0].float(), data.labels, 10,
             lambda i, t, x: seen.append(x))
    torch.testing.assert_close(data.latents[:, 9].float(), seen[9], atol=0.03, rtol=0.01)
    assert initial_noise(1, (4,), 0).shape == (1, 4)


def test_batch_size_does_not_matter(teacher, data):
    again = record(teacher, 6, steps=10, batch=6, seed=3)
    assert torch.equal(again.labels, data.labels)
    assert torch.equal(again.latents[:, 0], data.latents[:, 0])
    torch.testing.assert_close(again.latents.float(), data.latents.float(), atol=0.03, rtol=0.01)


def test_unconditional(unets):
    from hqdm.learn.diffusion.sampler import make_scheduler
    alone = Teacher(unets["unconditional"](), make_scheduler(), (3, 16, 16))
    kept = record(alone, 2, steps=2)
    assert kept.noise.shape == (2, 2, 1, 3, 16, 16) and alone.halves == 1
    student = convert(alone.unet, make_method("hqdm"), kept.schedule, rank=2)
    calibrate(student, alone, kept)
    assert student.model(kept.latents[:, 0].float(), kept.schedule[0]).sample.isfinite().all()


def test_file(teacher, data, tmp_path):
    path = tmp_path / "t.safetensors"
    data.save(path, {"seed": 3})
    again = Trajectories.load(path, {"seed": 3})
    assert torch.equal(again.noise, data.noise) and again.schedule == data.schedule
    with pytest.raises(ValueError, match="another architecture: wanted seed 4, got 3"):
        Trajectories.load(path, {"seed": 4})
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match="truncated or damaged"):
        Trajectories.load(path, {"seed": 3})


def test_calibration_sets_every_step_of_every_timestep(student_of):
    student = student_of()
    tables = [m.steps.all() for m in student.model.modules()
              if isinstance(m, SymmetricQuantiser)]
    assert all(len(t) == 10 and bool((t != 1).all()) for t in tables)
    for layer in student.layers().values():
        constant = layer.activation.steps.all().unique().numel() == 1
        assert constant == (layer.rule.role == "condition")     # the token has no timestep


def test_calibration_wants_the_schedule(teacher, data):
    student = convert(teacher.unet, make_method("hqdm"), (5, 3), rank=1)
    with pytest.raises(ValueError, match="wanted the student's 2 timesteps, got 10 others"):
        calibrate(student, teacher, data)
    assert replace(data, schedule=(5, 3)).schedule == (5, 3)
