"""The state of a run in a file: all of it, or refused in one line."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from hqdm.kit.tensor_file import load_checkpoint, save_checkpoint
from hqdm.learn.train.state import State


def stepped():
    torch.manual_seed(1)
    state = State(nn.Linear(2, 3), "cpu", 0.0)
    state.model(torch.ones(4, 2)).sum().backward()
    state.update(1.0)
    state.losses = {"mse": 0.5}
    return state


@pytest.fixture
def read(tmp_path):
    stepped().save(tmp_path / "x", {"seed": 1})
    return load_checkpoint(tmp_path / "x", "training")


def test_there_and_back(tmp_path, read):
    state = State(nn.Linear(2, 3), "cpu", 0.0)
    state.load(tmp_path / "x", {"seed": 1})
    assert (state.step, state.losses) == (1, {"mse": 0.5})
    state.save(tmp_path / "y", {"seed": 1})
    assert load_checkpoint(tmp_path / "y", "training").digest == replace(
        read, training=read.training | {"seconds": state.seconds}).digest


def refused(tmp_path, read, text):
    save_checkpoint(tmp_path / "x", read)
    with pytest.raises(ValueError, match=text) as caught:
        State(nn.Linear(2, 3), "cpu", 0.0).load(tmp_path / "x", {"seed": 1})
    assert str(caught.value).startswith(f"{tmp_path / 'x'}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.weight", "average.bias", "exp_avg.weight",
                                  "exp_avg_sq.bias"])
@pytest.mark.parametrize("change", [
    lambda t: t * float("nan"), lambda t: t[1:].clone(), lambda t: t.bool(), None])
def test_tensors_that_are_others(tmp_path, read, name, change):
    rest = {k: t for k, t in read.tensors.items() if k != name}
    if change is not None:
        rest[name] = change(read.tensors[name])
    refused(tmp_path, replace(read, tensors=rest), "wanted .*, got ")
    refused(tmp_path, replace(read, tensors=read.tensors | {"more": torch.zeros(1)}),
            "wanted tensors exp_avg.bias, .* got .*'more'")


@pytest.mark.parametrize(("change", "text"), [
    ({"step": -1}, "position: wanted numbers of 0 or more, got"),
    ({"step": 1.5}, "step: wanted an integer, got 1.5"),
    ({"seconds": None}, "seconds: wanted a number, got None"),
    ({"losses": {"mse": "x"}}, "position: wanted numbers of 0 or more, got"),
    ({"losses": []}, r"losses: wanted an object, got \[\]"),
    ({"more": 1}, "'more': wanted one of step, seconds, losses"),
])
def test_positions_that_are_none(tmp_path, read, change, text):
    refused(tmp_path, replace(read, training=read.training | change), text)
    for key in ("step", "seconds", "losses"):
        rest = {k: v for k, v in read.training.items() if k != key}
        refused(tmp_path, replace(read, training=rest), f"{key}: wanted .* none of that name")
