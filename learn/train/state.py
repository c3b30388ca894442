"""The whole state of a run, to a file and back."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hqdm.kit.check import check_tensors
from hqdm.kit.tensor_file import Checkpoint, load_checkpoint, load_state, save_checkpoint
from hqdm.learn.train.schedule import ema_decay
from hqdm.spec.plain import from_plain, shown

MOMENTS = ("exp_avg", "exp_avg_sq")


def channels_last(module: nn.Module) -> nn.Module:
    """`module` with the kernels of its convolutions in channels-last order, in place."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


@dataclass(frozen=True, kw_only=True)
class _Position:
    """Members as of `State`."""

    step: int
    seconds: float
    losses: dict[str, Any]

    def __post_init__(self) -> None:
        numbers = [self.step, self.seconds, *self.losses.values()]
        if not all(type(n) in (int, float) and n >= 0 for n in numbers):
            raise ValueError(f"position: wanted numbers of 0 or more, got {shown(numbers)}")


class State:
    """Model, average, optimizer and position of a run.

    Random numbers are a function of the seed and the step, so none are kept.

    Members
    -------
    model, average: the module trained and the moving average of its weights.
    step, seconds: steps done, and the time they took.
    losses: the means since the check before the last.
    """

    def __init__(self, model: nn.Module, device: str, weight_decay: float) -> None:
        self.model = channels_last(model.to(device))
        self.average = copy.deepcopy(self.model).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=0.0, betas=(0.9, 0.99), weight_decay=weight_decay,
            fused=True)
        self.step, self.seconds = 0, 0.0
        self.losses: dict[str, float] = {}

    def update(self, clip: float) -> Tensor:
        """One optimizer step from the gradients; returns their norm before clipping."""
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()),
                                 [p.detach() for p in self.model.parameters()],
                                 1 - ema_decay(self.step))
        return norm

    def save(self, path: Path, recipe: dict[str, Any]) -> None:
        """Write everything, atomically; `recipe` is what a continuation must agree on."""
        tensors = {f"model.{n}": t for n, t in self.model.state_dict().items()}
        tensors |= {f"average.{n}": t for n, t in self.average.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            held = self.optimizer.state.get(parameter, {})
            tensors |= {f"{key}.{name}": held[key] for key in MOMENTS if key in held}
        save_checkpoint(path, Checkpoint(
            kind="training", architecture=recipe, tensors=tensors,
            training={
                "step": self.step, "seconds": self.seconds, "losses": self.losses}))

    def load(self, path: Path, recipe: dict[str, Any]) -> None:
        """Continue from what `save` wrote.

        Raises
        ------
        ValueError: a damaged file, or one of another recipe.
        """
        checkpoint = load_checkpoint(path, "training", recipe)
        groups: dict[str, dict[str, Tensor]] = {}
        for name, tensor in checkpoint.tensors.items():
            group, _, rest = name.partition(".")
            groups.setdefault(group, {})[rest] = tensor
        position = from_plain(_Position, checkpoint.training, f"{path}: ")
        moments = {n: p for n, p in self.model.named_parameters() if position.step}
        check_tensors(str(path), {n: t for n, t in checkpoint.tensors.items()
                                  if n.partition(".")[0] not in ("model", "average")}, {
            f"{key}.{n}": (p.dtype, tuple(p.shape)) for key in MOMENTS for n, p in moments.items()})
        load_state(self.model, groups.get("model", {}), str(path))
        load_state(self.average, groups.get("average", {}), str(path))
        self.step, self.seconds = position.step, position.seconds
        self.losses = position.losses
        for name, parameter in self.model.named_parameters():
            if name in groups.get(MOMENTS[0], {}):
                self.optimizer.state[parameter] = {"step": torch.tensor(
                    float(self.step), device=parameter.device)} | {
                    key: torch.empty_like(parameter).copy_(groups[key][name]) for key in MOMENTS}
