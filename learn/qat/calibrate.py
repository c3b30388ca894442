"""Initial steps of the activations, per timestep, along the teacher's trajectory."""

from collections.abc import Callable

import torch

from hqdm.learn.qat.convert import Quantised
from hqdm.learn.qat.teacher import Teacher, contexts, predict
from hqdm.learn.qat.trajectory import Trajectories

SAMPLES = 16            # trajectories looked at per timestep


@torch.no_grad()
def calibrate(student: Quantised, teacher: Teacher, data: Trajectories, *,
              samples: int = SAMPLES, watch: Callable[[int, int], None] | None = None) -> None:
    """Set every activation step and zero point to that of least squared error, in place.

    The student runs unrounded, on the latents of the first `samples` trajectories with all
    their predictions (class and null class) as one batch per timestep.

    Parameters
    ----------
    data: trajectories of `teacher` with the student's schedule, on the student's device.
    watch: called with (timesteps done, timesteps in all).

    Raises
    ------
    ValueError: trajectories of another schedule.
    """
    check_schedule(student, data)
    context = contexts(teacher, data.labels[:samples], data.latents.device)
    with student.timestep.observation():
        for index, t in enumerate(data.schedule):
            latents = data.latents[:samples, index].float().repeat(teacher.halves, 1, 1, 1)
            predict(student.model, latents, t, context)
            if watch is not None:
                watch(index + 1, len(data.schedule))


def check_schedule(student: Quantised, data: Trajectories) -> None:
    """ValueError unless both have the same timesteps."""
    if student.timestep.schedule != data.schedule:
        raise ValueError(f"trajectories: wanted the student's {len(student.timestep)} timesteps, "
                         f"got {len(data.schedule)} others")
