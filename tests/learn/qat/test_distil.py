"""Distillation: it learns, resumes to the same bits, and stops at NaN."""

import pytest
import torch

from hqdm.learn.qat.agreement import relative_error
from hqdm.learn.qat.distil import Distillation, Recipe, draw, loss_of, parameter_groups
from hqdm.learn.qat.methods import METHODS

RECIPE = Recipe(iterations=12, batch=6, activation_rate=5e-3, lora_rate=3e-3)


def parameters(student):
    return {n: p.detach().clone() for n, p in student.model.named_parameters()
            if p.requires_grad}


def total_loss(student, teacher, data):
    schedule = torch.tensor(data.schedule)
    with torch.no_grad():
        return sum(float(loss_of(student, schedule, draw(data, teacher, RECIPE, i), False))
                   for i in range(100, 104))


@pytest.mark.parametrize("name", METHODS)
def test_a_few_iterations_reduce_the_loss(student_of, teacher, data, name):
    student = student_of(name, weights=3, activations=3)
    before, moved = total_loss(student, teacher, data), parameters(student)
    errors = relative_error(student, teacher, data)
    Distillation(student, teacher, data, RECIPE).run()
    assert total_loss(student, teacher, data) < 0.97 * before
    assert relative_error(student, teacher, data).mean() < errors.mean()
    still = [n for n, p in parameters(student).items() if torch.equal(p, moved[n])]
    assert not still, f"not trained: {still}"


def test_groups_hold_every_trainable_once(student_of, teacher):
    student = student_of("efficientdm")
    groups = parameter_groups(student, RECIPE)
    assert [g["lr"] for g in groups] == [5e-3, 1e-4, 3e-3, 5e-3 * 7.5]
    listed = [id(p) for g in groups for p in g["params"]]
    assert sorted(listed) == sorted(
        id(p) for p in student.model.parameters() if p.requires_grad)
    assert all(g["weight_decay"] == 0 for g in groups)


def test_batches_depend_on_seed_and_iteration_alone(teacher, data):
    one, same, other = (draw(data, teacher, RECIPE, i) for i in (7, 7, 8))
    assert torch.equal(one.latents, same.latents) and torch.equal(one.target, same.target)
    assert not torch.equal(one.latents, other.latents)
    counts = torch.bincount(torch.cat([draw(data, teacher, RECIPE, i).entries
                                       for i in range(40)]), minlength=10)
    assert counts.min() > 12        # 24 on average: timesteps are spread evenly


def test_targets_belong_to_their_class(teacher, data):
    batch = draw(data, teacher, RECIPE, 0)
    with torch.no_grad():
        schedule = torch.tensor(data.schedule)[batch.entries]
        noise = teacher.unet(batch.latents, schedule, batch.context).sample
    torch.testing.assert_close(noise, batch.target, atol=3e-3, rtol=3e-3)


def test_same_seed_same_bits_and_resume(student_of, teacher, data, tmp_path):
    whole, resumed = student_of(), student_of()
    Distillation(whole, teacher, data, RECIPE).run()
    file = tmp_path / "state"
    first = Distillation(resumed, teacher, data, RECIPE, file)
    for _ in range(5):
        first.step()
    first.save()
    again = student_of()
    loop = Distillation(again, teacher, data, RECIPE, file)
    assert loop.iteration == 5
    loop.run()
    wanted = parameters(whole)
    assert all(torch.equal(p, wanted[n]) for n, p in parameters(again).items())


def test_minutes_stop_the_run_and_keep_its_state(student_of, teacher, data, tmp_path):
    loop = Distillation(student_of(), teacher, data, RECIPE, tmp_path / "state")
    loop.run(minutes=1e-9, look_every=2)
    assert loop.iteration == 2 and (tmp_path / "state").is_file()
    assert not list(tmp_path.glob(".*"))


def test_nan_stops_and_keeps_the_last_good_state(student_of, teacher, data, tmp_path):
    student = student_of()
    loop = Distillation(student, teacher, data, RECIPE, tmp_path / "state")
    loop.run(minutes=1e-9, look_every=2)
    good = (tmp_path / "state").read_bytes()
    next(iter(student.layers().values())).weight.merged.b.data.fill_(float("nan"))
    with pytest.raises(RuntimeError, match=r"not finite at iteration 3; .*state keeps the last"):
        loop.run(save_every=1)
    assert (tmp_path / "state").read_bytes() == good


def test_foreign_checkpoints(student_of, teacher, data, tmp_path):
    student, file = student_of(), tmp_path / "state"
    Distillation(student, teacher, data, RECIPE, file, "a").save()
    with pytest.raises(ValueError, match=r"wanted a checkpoint of .*b.*, got one of .*a"):
        Distillation(student, teacher, data, RECIPE, file, "b")
    file.write_bytes(b"x")
    with pytest.raises(ValueError, match="wanted a checkpoint of a distillation, got a damaged"):
        Distillation(student, teacher, data, RECIPE, file, "a")


@pytest.mark.parametrize("wrong", [{"iterations": -1}, {"iterations": 1, "batch": 0},
                                   {"iterations": 1, "lora_rate": 0.0}])
def test_recipe_is_checked(wrong):
    with pytest.raises(ValueError, match=r"wanted"):
        Recipe(**wrong)


def test_bfloat16_loss_is_near(student_of, teacher, data):
    """Rounding errors move values across ties: another sample of the same quantisation noise."""
    student = student_of()
    schedule, batch = torch.tensor(data.schedule), draw(data, teacher, RECIPE, 1)
    with torch.no_grad():
        full, low = (float(loss_of(student, schedule, batch, on)) for on in (False, True))
    assert low == pytest.approx(full, rel=0.3)
