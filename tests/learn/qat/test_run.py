"""The whole run: one call from a teacher to a file, resumable, trajectories shared."""

import pytest
import torch

from hqdm.learn.qat.distil import Recipe
from hqdm.learn.qat.export import load_quantised
from hqdm.learn.qat.methods import make_method
from hqdm.learn.qat.run import Job, quantise

RECIPE = Recipe(iterations=4, batch=4)


def job(tmp_path, name="q.safetensors", **options):
    return Job(**{"out": tmp_path / name, "trajectories": 2, "rank": 2} | options)


def run(teacher, tmp_path, method="hqdm", recipe=RECIPE, **options):
    stages = []
    summary = quantise(teacher, make_method(method), recipe, job(tmp_path, **options),
                       lambda stage, *rest: stages.append(stage))
    return summary, list(dict.fromkeys(stages))


@pytest.fixture(scope="module")
def folder(teacher, tmp_path_factory):
    """A folder with the trajectories and the result of an uninterrupted run."""
    path = tmp_path_factory.mktemp("run")
    run(teacher, path, name="whole")
    return path


def test_a_run_is_continued_to_the_same_bits(teacher, folder):
    first, stages = run(teacher, folder, minutes=1e-9, recipe=RECIPE, name="part")
    assert first["iterations"] == 4 and stages[0] == "calibrate"    # 4 < one look
    whole, _, read = load_quantised(folder / "whole")
    part, _, _ = load_quantised(folder / "part")
    assert all(torch.equal(a, b) for a, b in zip(
        whole.model.state_dict().values(), part.model.state_dict().values(), strict=True))
    assert len(whole.timestep) == 20 and read.training["iterations"] == 4
    assert not (folder / "whole.training").exists()


def test_methods_share_the_trajectories(teacher, folder):
    before = list(folder.glob("trajectories-*.safetensors"))
    summary, stages = run(teacher, folder, "ptq", name="ptq")
    assert stages == ["calibrate"] and summary["of"] == summary["iterations"] == 0
    assert list(folder.glob("trajectories-*.safetensors")) == before and len(before) == 1
    assert summary["bytes"] == (folder / "ptq").stat().st_size
    assert 0 < summary["error"] <= summary["worst_error"]


def test_an_interrupted_run_of_another_recipe_is_refused(teacher, folder):
    long = Recipe(iterations=50, batch=1)
    summary, _ = run(teacher, folder, recipe=long, minutes=1e-9, name="cut")
    assert summary["iterations"] == 20 and (folder / "cut.training").is_file()
    with pytest.raises(ValueError, match=r"cut.training: wanted a checkpoint of"):
        run(teacher, folder, recipe=RECIPE, name="cut")


@pytest.mark.parametrize("wrong, text", [
    ({"steps": 30}, "--steps: wanted a divisor of 100, got 30"),
    ({"trajectories": 0}, "--trajectories: wanted at least 1, got 0"),
    ({"minutes": 0.0}, "--minutes: wanted more than 0, got 0.0")])
def test_job_is_checked(tmp_path, wrong, text):
    with pytest.raises(ValueError, match=text):
        job(tmp_path, **wrong)
