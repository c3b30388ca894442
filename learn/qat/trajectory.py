"""The teacher's own sampling trajectories: the only data distillation sees.

One buffer is recorded per teacher and shared by every method, so that all have the same data.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hqdm.kit.check import check_tensors
from hqdm.kit.tensor_file import Checkpoint, load_checkpoint, save_checkpoint
from hqdm.learn.qat.teacher import Teacher, contexts, predict
from hqdm.learn.qat.timestep import check_schedule

STEPS = 100             # of the trajectory the student is trained on
KIND = "trajectories"


@dataclass(frozen=True)
class Trajectories:
    """What the teacher saw and said.

    Members
    -------
    latents: float16 (N, T, C, H, W), in order of sampling; the teacher saw these exact values.
    noise: float16 (N, T, halves, C, H, W), its predictions for the class, then the null class.
    labels: int64 (N,).
    schedule: the T timesteps.
    """

    latents: Tensor
    noise: Tensor
    labels: Tensor
    schedule: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, part: slice) -> "Trajectories":
        return Trajectories(self.latents[part], self.noise[part], self.labels[part],
                            self.schedule)

    def to(self, device: torch.device | str) -> "Trajectories":
        """The same with latents and noise on `device`; labels stay on the CPU."""
        return Trajectories(self.latents.to(device), self.noise.to(device), self.labels,
                            self.schedule)

    def save(self, path: Path, source: Mapping[str, Any]) -> None:
        """Write atomically; `source` tells the teacher, seed and size it was recorded from."""
        save_checkpoint(path, Checkpoint(
            kind=KIND, architecture=dict(source), training={"schedule": list(self.schedule)},
            tensors={"latents": self.latents, "noise": self.noise, "labels": self.labels}))

    @staticmethod
    def load(path: Path, source: Mapping[str, Any]) -> "Trajectories":
        """Read what `save` wrote.

        Raises
        ------
        FileNotFoundError, ValueError: no file, a damaged one, or one of another source.
        """
        read = load_checkpoint(path, KIND, source)
        schedule = check_schedule(f"{path}: schedule", read.training.get("schedule"))
        shape = tuple(read.tensors["latents"].shape) if "latents" in read.tensors else ()
        shape = (*shape[:1], len(schedule), *shape[2:])
        check_tensors(str(path), read.tensors, {
            "latents": (torch.float16, shape), "labels": (torch.int64, shape[:1]),
            "noise": (torch.float16, (*shape[:2], None, *shape[2:]))})
        return Trajectories(**read.tensors, schedule=schedule)


@torch.no_grad()
def record(teacher: Teacher, count: int, *, steps: int = STEPS, batch: int = 64, seed: int = 0,
           device: torch.device | str = "cpu",
           watch: Callable[[int, int], None] | None = None) -> Trajectories:
    """Sample `count` latents of random classes with the teacher and keep every step.

    Parameters
    ----------
    batch: samples at a time; it does not change which noise and class a sample gets.
    watch: called with (steps done, steps in all).
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(max(1, teacher.classes), (count,), generator=generator)
    start = torch.randn(count, *teacher.shape, generator=generator)
    schedule = teacher.schedule(steps)
    parts = []
    for done in range(0, count, batch):
        part = slice(done, done + batch)
        tick = None if watch is None else _ticks(watch, done // batch, -(-count // batch), steps)
        parts.append(_walk(teacher, start[part].to(device), labels[part], schedule, tick))
    latents, noise = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return Trajectories(latents, noise, labels, schedule)


def _ticks(watch: Callable[[int, int], None], part: int, parts: int, steps: int
           ) -> Callable[[int], None]:
    return lambda step: watch(part * steps + step + 1, parts * steps)


def _walk(teacher: Teacher, x: Tensor, labels: Tensor, schedule: Sequence[int],
          tick: Callable[[int], None] | None) -> tuple[Tensor, Tensor]:
    context = contexts(teacher, labels, x.device)
    latents, noise = [], []
    for index, t in enumerate(schedule):
        x = x.half().float()        # what is stored is what the teacher sees
        eps = predict(teacher.unet, x.repeat(teacher.halves, 1, 1, 1), t, context)
        both = eps.unflatten(0, (teacher.halves, -1)).transpose(0, 1)    # (B, halves, ..)
        latents.append(x.half().cpu())
        noise.append(both.half().cpu())
        guided = both[:, 0]
        if teacher.halves == 2:
            guided = both[:, 1] + teacher.guidance * (both[:, 0] - both[:, 1])
        x = teacher.scheduler.step(guided, t, x, return_dict=False)[0]
        if tick is not None:
            tick(index)
    return torch.stack(latents, 1), torch.stack(noise, 1)
