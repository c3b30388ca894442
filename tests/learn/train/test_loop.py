"""The training loop: resuming is exact, divergence and interruption leave good checkpoints."""

import json
import math
import os
import signal

import pytest
import torch
from PIL import Image

from hqdm.kit.tensor_file import load_checkpoint
from hqdm.learn.diffusion.files import load_unet
from hqdm.learn.train.loop import Diverged
from hqdm.learn.train.options import Options, choose_device
from hqdm.learn.train.schedule import Budget

FILES = {"training.safetensors", "unet.safetensors", "samples", "log.jsonl"}


def after(task, step, act):
    """`task` with `act(losses)` put between its losses and the loop at `step`."""
    original = task.losses

    def losses(at):
        found = original(at)
        return act(found) if at == step else found

    task.losses = losses


def interrupt(losses):
    os.kill(os.getpid(), signal.SIGINT)
    return losses


def same(first, second):
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.mark.parametrize("task", ["unet_task", "autoencoder_task"])
@pytest.mark.parametrize("stop", [0, 2, 3])
def test_interrupted_run_ends_with_the_same_bits(request, trainer, capsys, task, stop):
    task = request.getfixturevalue(task)
    whole = trainer(task, out="whole")
    whole.run()
    first = trainer(task, out="parts")
    after(first.task, stop, interrupt)
    with pytest.raises(KeyboardInterrupt):
        first.run()
    assert first.state.step == stop + 1
    assert f"stopped at step {stop + 1}; the same command continues" in capsys.readouterr().err
    second = trainer(task, out="parts")
    second.run()
    assert f"continuing at step {stop + 1}" in capsys.readouterr().err
    assert second.state.step == whole.state.step == 6
    assert same(whole.state.model.state_dict(), second.state.model.state_dict())
    assert same(whole.state.average.state_dict(), second.state.average.state_dict())
    assert not same(whole.state.model.state_dict(), whole.state.average.state_dict())


def test_files(trainer, unet_task, tmp_path):
    run = trainer(unet_task)
    summary = run.run()
    folder = tmp_path / "run"
    assert {p.name for p in folder.iterdir()} == FILES
    with Image.open(folder / "samples" / "0000006.png") as grid:
        assert grid.size == (10 * 66 + 2, 66 + 2)
    assert summary["step"] == 6 and summary["images"] == 24 and math.isfinite(summary["loss"])
    training = load_checkpoint(folder / "unet.safetensors", "unet").training
    assert training["step"] == 6 and training["seed"] == 0 and training["batch"] == 4
    loaded = load_unet(folder / "unet.safetensors").state_dict()
    assert same({n: t.half().float() for n, t in run.state.average.state_dict().items()}, loaded)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert lines and {"step", "steps", "images_per_second", "loss", "mse"} <= set(lines[0])


def test_finished_run_does_nothing_and_longer_budget_goes_on(trainer, unet_task):
    first = trainer(unet_task)
    first.run()
    again = trainer(unet_task)
    assert again.run()["loss"] == first.summary()["loss"]
    assert same(first.state.model.state_dict(), again.state.model.state_dict())
    longer = trainer(unet_task, steps=8)
    assert longer.run()["step"] == 8


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_divergence_stops_and_keeps_the_last_good_checkpoint(
    trainer, unet_task, tmp_path, bad,
):
    trainer(unet_task, steps=3).run()
    good = (tmp_path / "run" / "training.safetensors").read_bytes()
    run = trainer(unet_task, steps=20)
    after(run.task, 4, lambda losses: losses | {"loss": losses["loss"] * bad})
    with pytest.raises(Diverged, match=rf"unet: loss is {bad} at step 5; the last good "
                                       r"checkpoint is .*training.safetensors, step 3"):
        run.run()
    assert (tmp_path / "run" / "training.safetensors").read_bytes() == good


def test_divergence_before_any_checkpoint(trainer, unet_task, tmp_path):
    run = trainer(unet_task)
    after(run.task, 0, lambda losses: losses | {"loss": losses["loss"] * math.nan})
    with pytest.raises(Diverged, match="loss is nan at step 1; no checkpoint had been written"):
        run.run()
    assert not list((tmp_path / "run").glob("*.safetensors"))


def test_divergence_of_the_gradient(trainer, unet_task):
    run = trainer(unet_task)
    weight = run.state.model.unet.conv_out.weight
    weight.register_hook(lambda gradient: gradient * math.nan)
    with pytest.raises(Diverged, match="gradient is nan at step 1"):
        run.run()


@pytest.mark.parametrize("more,message", [
    ({"seed": 1}, "wanted seed 1, got 0"), ({"batch": 3}, "wanted batch 3, got 4"),
    ({"learning_rate": 0.5}, "wanted learning_rate 0.5, got 0.001")])
def test_run_of_another_recipe_is_refused(trainer, unet_task, more, message):
    trainer(unet_task, steps=1).run()
    with pytest.raises(ValueError, match=message):
        trainer(unet_task, **more).run()


def test_damaged_run_is_refused(trainer, unet_task, tmp_path):
    trainer(unet_task, steps=1).run()
    path = tmp_path / "run" / "training.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="wanted a whole safetensors file"):
        trainer(unet_task).run()


def test_checkpoints_and_grids_on_the_way(trainer, unet_task, tmp_path):
    run = trainer(unet_task, steps=8, checkpoint_minutes=0, grid_minutes=0)
    seen = []
    after(run.task, 5, lambda losses: seen.append(load_checkpoint(
        tmp_path / "run" / "training.safetensors", "training").training["step"]) or losses)
    run.run()
    assert seen == [5]
    assert [p.name for p in sorted((tmp_path / "run" / "samples").iterdir())] == [
        f"{step:07d}.png" for step in (1, 3, 5, 7, 8)]


def test_budget_in_minutes_ends_and_says_how_long_it_takes(trainer, unet_task, capsys):
    summary = trainer(unet_task, budget=Budget(minutes=0.02), check_every=3).run()
    assert summary["step"] > 6 and 1.2 <= summary["seconds"] < 5
    assert "images/s on CPU, 1 threads: " in capsys.readouterr().err


def test_loss_falls(trainer, unet_task):
    early = trainer(unet_task, steps=4, out="early").run()["mse"]
    late = trainer(unet_task, steps=60, learning_rate=3e-3, out="late").run()["mse"]
    assert early > 0.9 and late < 0.6 * early


def test_autoencoder_learns_and_is_exported(trainer, autoencoder_task, tmp_path):
    first = trainer(autoencoder_task, steps=2, out="early").run()["l1"]
    run = trainer(autoencoder_task, steps=60, learning_rate=3e-3)
    assert run.run()["l1"] < first
    for name in ("autoencoder", "decoder"):
        loaded = load_checkpoint(tmp_path / "run" / f"{name}.safetensors", "autoencoder")
        assert loaded.architecture["scaling_factor"] > 0
        assert loaded.training["psnr_db"] > 5


def test_options_are_checked(tmp_path):
    good = {"out": tmp_path, "budget": Budget(steps=1), "batch": 1, "learning_rate": 1e-3}
    for more, message in [({"batch": 0}, "batch: wanted at least 1, got 0"),
                          ({"seed": -1}, r"seed: wanted 0\.\.2147483647, got -1"),
                          ({"learning_rate": 0}, "learning rate: wanted more than 0")]:
        with pytest.raises(ValueError, match=message):
            Options(**good | more)
    with pytest.raises(ValueError, match=r"device: wanted auto or one of cpu.*, got 'tpu'"):
        choose_device("tpu")
    assert choose_device("cpu") == "cpu" and choose_device("auto") in ("cpu", "cuda")
