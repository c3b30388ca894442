"""From a float teacher to a packed quantised network, in one call."""

import copy
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from hqdm.learn.diffusion.files import fingerprint
from hqdm.learn.qat.agreement import relative_error
from hqdm.learn.qat.axes import choose_axes
from hqdm.learn.qat.calibrate import calibrate
from hqdm.learn.qat.convert import Quantised, convert
from hqdm.learn.qat.distil import Distillation, Recipe
from hqdm.learn.qat.export import export, freeze
from hqdm.learn.qat.lora import RANK
from hqdm.learn.qat.methods import Method
from hqdm.learn.qat.teacher import Teacher
from hqdm.learn.qat.trajectory import STEPS, Trajectories, record
from hqdm.spec.plain import to_plain

HELD_OUT = 16       # trajectories never trained on, for the agreement
Say = Callable[[str, int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run of `hqdm quantize`, apart from teacher, method and recipe.

    Parameters
    ----------
    out: file to write. Beside it: OUT.training, the state of an unfinished run, and the
        trajectories, one file per teacher, seed and size, shared by all runs in the folder.
    trajectories: number to record for training.
    steps: of the sampler the exported steps are for; divides 100.
    minutes: of training in this call, None for all iterations.
    device: "cpu" or "cuda".
    rank: of the low-rank corrections.
    """

    out: Path
    trajectories: int = 256
    steps: int = 20
    minutes: float | None = None
    device: str = "cpu"
    rank: int = RANK

    def __post_init__(self) -> None:
        if self.steps < 1 or STEPS % self.steps:
            raise ValueError(f"--steps: wanted a divisor of {STEPS}, got {self.steps}")
        if self.trajectories < 1:
            raise ValueError(f"--trajectories: wanted at least 1, got {self.trajectories}")
        if self.minutes is not None and self.minutes <= 0:
            raise ValueError(f"--minutes: wanted more than 0, got {self.minutes}")


def source_of(teacher: Teacher, count: int, seed: int) -> dict[str, Any]:
    """What trajectories are recorded from, as plain data."""
    tokens = None if teacher.tokens is None else hashlib.sha256(
        teacher.tokens.detach().cpu().numpy().tobytes()).hexdigest()[:16]
    return {"unet": fingerprint(teacher.unet), "tokens": tokens, "guidance": teacher.guidance,
            "count": count, "steps": STEPS, "seed": seed, "shape": list(teacher.shape),
            "noise_schedule": to_plain(teacher.noise_schedule)}


def shared_trajectories(folder: Path, teacher: Teacher, count: int, seed: int, device: str,
                        watch: Callable[[int, int], None]) -> Trajectories:
    """The trajectories of the folder, recorded if they are not there; safe among processes."""
    source = source_of(teacher, count, seed)
    name = hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest()[:12]
    path = folder / f"trajectories-{name}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if path.is_file():
            return Trajectories.load(path, source)
        data = record(teacher, count, batch=64 if device == "cpu" else 512, seed=seed,
                      device=device, watch=watch)
        data.save(path, source)
        return data


def quantise(teacher: Teacher, method: Method, recipe: Recipe, job: Job, say: Say
             ) -> dict[str, Any]:
    """Record, convert, calibrate, distil, freeze and write; returns a summary.

    Parameters
    ----------
    say: called with (stage, done, of, text) as it goes.

    Raises
    ------
    ValueError: an unfinished run of another recipe, a model that cannot be quantised.
    RuntimeError: training left the finite numbers.
    """
    begun = time.monotonic()
    teacher = _sized(teacher)
    _check_steps(teacher, job.steps)
    teacher.unet.to(job.device)
    data = shared_trajectories(
        job.out.parent, teacher, job.trajectories + HELD_OUT, recipe.seed, job.device,
        lambda i, n: say("record", i, n, "")).to(job.device)
    teacher.unet.cpu()
    held, kept = data[:HELD_OUT], data[HELD_OUT:]
    axes = choose_axes(teacher, kept, method) if method.conv_axis == "best" else None
    student = convert(teacher.unet, method, data.schedule, rank=job.rank, seed=recipe.seed,
                      axes=axes)
    student.model.to(job.device)
    loop = Distillation(student, teacher, kept, recipe, _state(job.out), _identity(
        teacher, method, job))
    if loop.iteration == 0:
        calibrate(student, teacher, kept, watch=lambda i, n: say("calibrate", i, n, ""))
    before = relative_error(_kept(student, teacher, job), teacher, held)
    if method.trained:
        loop.run(minutes=job.minutes, watch=lambda i, loss, seconds: say(
            "distil", i, recipe.iterations, f"loss {loss:.4g}, {1 / seconds:.2f} iterations/s"))
    final = _kept(student, teacher, job)
    after = relative_error(final, teacher, held)
    training = {
        "recipe": asdict(recipe), "iterations": loop.iteration, "losses": loop.losses,
        "trajectories": source_of(teacher, len(data), recipe.seed),
        "noise_schedule": to_plain(teacher.noise_schedule), "null_class": teacher.null_class,
        "relative_error": after.tolist(), "seconds": time.monotonic() - begun}
    final.model.cpu()
    digest = export(job.out, final, method, training, teacher.tokens)
    if loop.iteration == recipe.iterations or not method.trained:
        _state(job.out).unlink(missing_ok=True)
    return _summary(method, loop, before, after, job.out, digest,
                    time.monotonic() - begun)


def _sized(teacher: Teacher) -> Teacher:
    """The teacher with a UNet whose configuration says the latent's size, as its file will."""
    config, size = getattr(teacher.unet, "config", {}), list(teacher.shape[1:])
    told = config.get("sample_size", size)
    if ([told] * 2 if isinstance(told, int) else list(told or ())) == size:
        return teacher
    unet: Any = copy.deepcopy(teacher.unet)
    unet.register_to_config(sample_size=size)
    return replace(teacher, unet=unet)


def _check_steps(teacher: Teacher, steps: int) -> None:
    """ValueError unless the sampler's timesteps are among those the student is trained on."""
    if not set(teacher.schedule(steps)) <= set(teacher.schedule(STEPS)):
        most = teacher.noise_schedule.num_train_timesteps
        raise ValueError(f"--steps: wanted timesteps among those of {STEPS} steps, got others of "
                         f"{steps} steps; num_train_timesteps of {most} is no multiple of {STEPS}")


def _state(out: Path) -> Path:
    return out.with_name(f"{out.name}.training")


def _identity(teacher: Teacher, method: Method, job: Job) -> str:
    return json.dumps([asdict(method), source_of(teacher, job.trajectories, 0), job.rank],
                      sort_keys=True)


def _kept(student: Quantised, teacher: Teacher, job: Job) -> Quantised:
    return freeze(student, teacher.schedule(job.steps))


def _summary(method: Method, loop: Distillation, before: torch.Tensor, after: torch.Tensor,
             out: Path, digest: str, seconds: float) -> dict[str, Any]:
    losses = loop.losses
    return {
        "output": str(out), "method": method.label, "iterations": loop.iteration,
        "of": loop.recipe.iterations if method.trained else 0,
        "first_loss": losses[0] if losses else None,
        "last_loss": losses[-1] if losses else None,
        "error_calibrated": float(before.mean()), "error": float(after.mean()),
        "worst_error": float(after.max()), "bytes": out.stat().st_size,
        "sha256": digest, "seconds": seconds}
