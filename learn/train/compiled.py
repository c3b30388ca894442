"""torch.compile, believed only after its gradients were compared with the uncompiled ones.

torch 2.13's CPU compiler returned wrong gradients for both models (zero before the upsampling of
the decoder), which no loss shows: training went on and diverged.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

NOISE, LEAST = 0.02, 0.95
SMALL = 0.01    # of the largest norm: such gradients are bf16 noise and not compared


class _Task(Protocol):
    model: nn.Module

    def losses(self, step: int) -> dict[str, Tensor]:
        """Scalar losses of a step."""


def _gradients(task: _Task) -> dict[str, Tensor]:
    task.model.zero_grad(set_to_none=True)
    task.losses(0)["loss"].backward()
    found = {name: p.grad.float().flatten() for name, p in task.model.named_parameters()
             if p.grad is not None and p.ndim > 1}
    task.model.zero_grad(set_to_none=True)
    return found


def compile_checked(task: _Task) -> None:
    """Compile the task's model in place.

    The gradients are compared at its weights plus noise, so that layers that start at zero hide
    nothing; the weights are restored.

    Raises
    ------
    RuntimeError: the compiled gradients are not those of the model.
    """
    parameters = list(task.model.parameters())
    before = [p.detach().clone() for p in parameters]
    random = torch.Generator(parameters[0].device).manual_seed(0)
    with torch.no_grad():
        for p in parameters:
            p.add_(torch.randn(p.shape, generator=random, device=p.device), alpha=NOISE)
    wanted = _gradients(task)
    task.model.compile()
    got = _gradients(task)
    with torch.no_grad():
        for p, value in zip(parameters, before, strict=True):
            p.copy_(value)
    largest = max(float(g.norm()) for g in wanted.values())
    for name, gradient in wanted.items():
        if gradient.norm() < SMALL * largest:
            continue
        cosine = float(torch.cosine_similarity(gradient, got[name], dim=0))
        if cosine < LEAST:
            raise RuntimeError(
                f"compile: the compiled gradient of {name} has cosine {cosine:.3f} to the "
                f"uncompiled one, wanted {LEAST}; train without --compile")
