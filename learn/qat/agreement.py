"""How close a student's noise is to its teacher's, per timestep."""

import torch
from torch import Tensor

from hqdm.learn.qat.convert import Quantised
from hqdm.learn.qat.teacher import Teacher, contexts, predict
from hqdm.learn.qat.trajectory import Trajectories


@torch.no_grad()
def relative_error(student: Quantised, teacher: Teacher, data: Trajectories) -> Tensor:
    """Squared error over squared magnitude of the teacher's noise: float64 (T,).

    T are the student's timesteps, which the schedule of `data` must contain; every latent with
    all its predictions. 10 * log10 of it is the negative signal-to-noise ratio.
    """
    errors = []
    context = contexts(teacher, data.labels, data.latents.device)
    for t in student.timestep.schedule:
        index = data.schedule.index(t)
        latents = data.latents[:, index].float().repeat(teacher.halves, 1, 1, 1)
        target = data.noise[:, index].transpose(0, 1).flatten(0, 1).double()
        noise = predict(student.model, latents, t, context).double()
        errors.append((noise - target).square().sum() / target.square().sum())
    return torch.stack(errors).cpu()
