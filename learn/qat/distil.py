"""Data-free distillation: the student learns the teacher's noise along the teacher's trajectory."""

import json
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hqdm.kit.files import write_atomically
from hqdm.kit.tensor_file import one_line
from hqdm.learn.qat.calibrate import check_schedule
from hqdm.learn.qat.convert import Quantised
from hqdm.learn.qat.lora import TrainedWeight
from hqdm.learn.qat.quantiser import AsymmetricQuantiser, Steps, SymmetricQuantiser
from hqdm.learn.qat.teacher import Teacher, predict
from hqdm.learn.qat.trajectory import Trajectories


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the student is trained; the same for every method that is compared.

    Parameters
    ----------
    iterations: optimiser steps; the learning rates fall to zero along a cosine.
    batch: latents per step, each of its own trajectory, timestep and half.
    activation_rate: of the logarithms of activation steps, a relative change per step; zero
        points, in levels, get it times half the levels.
    weight_rate: of the logarithms of weight steps.
    lora_rate: of the low-rank corrections.
    seed: of the batches; batch i depends on (seed, i) alone, so resuming repeats nothing.
    autocast: bfloat16 sums in the student.

    Raises
    ------
    ValueError: nothing to do, or a rate that is not positive.
    """

    iterations: int
    batch: int = 32
    activation_rate: float = 5e-3
    weight_rate: float = 1e-4
    lora_rate: float = 5e-4
    seed: int = 0
    autocast: bool = False

    def __post_init__(self) -> None:
        if self.iterations < 0 or self.batch < 1:
            raise ValueError(f"wanted iterations >= 0 and a batch >= 1, got {self.iterations} "
                             f"and {self.batch}")
        rates = (self.activation_rate, self.weight_rate, self.lora_rate)
        if min(rates) <= 0:
            raise ValueError(f"learning rates: wanted positive ones, got {rates}")


def parameter_groups(student: Quantised, recipe: Recipe) -> list[dict[str, Any]]:
    """AdamW's groups: activation steps, zero points, weight steps, low-rank corrections.

    Without weight decay: on the logarithm of a step it would pull steps to 1.
    """
    quantisers = [m for m in student.model.modules()
                  if isinstance(m, (SymmetricQuantiser, AsymmetricQuantiser))]
    weights = [layer.weight for layer in student.layers().values()
               if isinstance(layer.weight, TrainedWeight)]
    zeros = [(m.zero, m.levels) for m in quantisers if isinstance(m, AsymmetricQuantiser)]
    groups: list[dict[str, Any]] = [
        {"params": _logs(quantisers), "lr": recipe.activation_rate},
        {"params": _logs(weights), "lr": recipe.weight_rate},
        {"params": [p for w in weights for p in (w.merged.a, w.merged.b)],
         "lr": recipe.lora_rate}]
    groups += [{"params": [z for z, n in zeros if n == levels],
                "lr": recipe.activation_rate * levels / 2}
               for levels in sorted({n for _, n in zeros})]
    return [group | {"weight_decay": 0.0} for group in groups]


def _logs(modules: Iterable[Any]) -> list[nn.Parameter]:
    return [m.steps.log for m in modules
            if isinstance(m.steps, Steps) and m.steps.log.requires_grad]


@dataclass
class Batch:
    """Latents (B, C, H, W), the entry of each one's timestep (B,), context of `predict`, target.
    """

    latents: Tensor
    entries: Tensor
    context: Tensor | None
    target: Tensor


def draw(data: Trajectories, teacher: Teacher, recipe: Recipe, iteration: int) -> Batch:
    """Batch number `iteration`: timesteps spread evenly over the schedule, trajectories random."""
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + iteration)
    b, t, device = recipe.batch, len(data.schedule), data.latents.device
    who = torch.randint(len(data), (b,), generator=generator)
    offset = torch.rand(b, generator=generator)     # one timestep from each of b strata
    entries = ((torch.arange(b) + offset) * (t / b)).to(torch.int64).clamp(max=t - 1)
    half = torch.randint(teacher.halves, (b,), generator=generator)
    context = teacher.context(torch.where(half == 0, data.labels[who], teacher.classes), device)
    who, entries, half = (x.to(device) for x in (who, entries, half))
    return Batch(data.latents[who, entries].float(), entries, context,
                 data.noise[who, entries, half].float())


def loss_of(student: Quantised, schedule: Tensor, batch: Batch, autocast: bool) -> Tensor:
    """Squared error to the teacher's noise, summed over a latent, averaged over the batch."""
    with torch.autocast(batch.latents.device.type, torch.bfloat16, enabled=autocast), \
            student.timestep.pinned(batch.entries):
        noise = predict(student.model, batch.latents, schedule[batch.entries], batch.context)
    return (noise.float() - batch.target).square().sum() / len(batch.target)


class Distillation:
    """The loop, resumable at any iteration.

    Parameters
    ----------
    student: calibrated, on the device of `data`.
    teacher: gives tokens and guidance; its UNet is not called.
    data: trajectories of the teacher with the student's schedule.
    checkpoint: file that keeps the last good state; resumed from if it is there, None: none.
    identity: what the checkpoint must have been made with besides the recipe.

    Raises
    ------
    ValueError: a checkpoint of another recipe, or trajectories of another schedule.
    """

    def __init__(self, student: Quantised, teacher: Teacher, data: Trajectories, recipe: Recipe,
                 checkpoint: Path | None = None, identity: str = "") -> None:
        check_schedule(student, data)
        self.student, self.teacher, self.data = student, teacher, data
        self.recipe, self.checkpoint = recipe, checkpoint
        self.identity = json.dumps([identity, asdict(recipe)], sort_keys=True)
        self.optimiser = torch.optim.AdamW(
            parameter_groups(student, recipe), fused=data.latents.is_cuda)
        self.rates = [group["lr"] for group in self.optimiser.param_groups]
        self.schedule = torch.tensor(data.schedule, device=data.latents.device)
        self.iteration = 0
        self.losses: list[float] = []
        if checkpoint is not None and checkpoint.is_file():
            self._resume(checkpoint)

    def _trained(self) -> dict[str, Tensor]:
        names = {id(p): n for n, p in self.student.model.named_parameters()}
        return {names[id(p)]: p for g in self.optimiser.param_groups for p in g["params"]}

    def step(self) -> Tensor:
        """One iteration; returns the loss, on the device."""
        factor = 0.5 * (1 + math.cos(math.pi * self.iteration / max(1, self.recipe.iterations)))
        for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        batch = draw(self.data, self.teacher, self.recipe, self.iteration)
        loss = loss_of(self.student, self.schedule, batch, self.recipe.autocast)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.iteration += 1
        return loss.detach()

    def run(self, *, minutes: float | None = None, save_every: int = 500, look_every: int = 20,
            watch: Callable[[int, float, float], None] | None = None) -> None:
        """Train to the end of the recipe, or for `minutes` of this call.

        Saves every `save_every` iterations, at the end and on interruption; `watch` is called
        with (iteration, mean loss of the last `look_every`, seconds per iteration).

        Raises
        ------
        RuntimeError: the loss or a parameter is not finite; the checkpoint keeps the last good
            state and the message says its iteration.
        """
        start, first = time.monotonic(), self.iteration
        pending: list[Tensor] = []
        try:
            while self.iteration < self.recipe.iterations:
                pending.append(self.step())
                last = self.iteration == self.recipe.iterations
                if len(pending) == look_every or last or self.iteration % save_every == 0:
                    self._look(pending)
                    elapsed = time.monotonic() - start
                    if watch is not None:
                        watch(self.iteration, self.losses[-1], elapsed / (self.iteration - first))
                    if minutes is not None and elapsed > 60 * minutes:
                        break
                if self.iteration % save_every == 0:
                    self.save()
        except KeyboardInterrupt:
            self._look(pending)
            self.save()
            raise
        self._look(pending)
        self.save()

    def _look(self, pending: list[Tensor]) -> None:
        """Move the pending losses to the host; stop where one, or a parameter, is not finite."""
        if not pending:
            return
        losses = torch.stack(pending).tolist()
        pending.clear()
        whole = torch.stack([p.isfinite().all() for p in self._trained().values()]).all()
        if not all(map(math.isfinite, losses)) or not bool(whole):
            kept = "none was kept" if self.checkpoint is None or not self.checkpoint.is_file() \
                else f"{self.checkpoint} keeps the last good state"
            bad = next((i for i, x in enumerate(losses) if not math.isfinite(x)), len(losses))
            raise RuntimeError(f"distillation: not finite at iteration "
                               f"{self.iteration - len(losses) + bad + 1}; {kept}")
        self.losses.append(sum(losses) / len(losses))

    def save(self) -> None:
        """Write the state atomically; nothing if there is no checkpoint file."""
        if self.checkpoint is None:
            return
        state = {"identity": self.identity, "iteration": self.iteration, "losses": self.losses,
                 "optimiser": self.optimiser.state_dict(),
                 "parameters": {n: p.detach() for n, p in self._trained().items()}}
        content = BytesIO()     # of a full disk torch itself says nothing that names it
        torch.save(state, content)
        write_atomically(self.checkpoint, content.getvalue())

    def _resume(self, path: Path) -> None:
        try:
            state = torch.load(path, map_location=self.schedule.device, weights_only=True)
            identity = state["identity"]
        except Exception as error:
            raise ValueError(f"{path}: wanted a checkpoint of a distillation, got a damaged or "
                             f"foreign file ({type(error).__name__})") from error
        if identity != self.identity:
            raise ValueError(f"{path}: wanted a checkpoint of {self.identity}, got one of "
                             f"{identity}")
        with one_line(f"{path}: wanted a whole checkpoint of a distillation"):
            with torch.no_grad():
                for name, parameter in self._trained().items():
                    parameter.copy_(state["parameters"][name])
            self.optimiser.load_state_dict(state["optimiser"])
            self.iteration, self.losses = int(state["iteration"]), list(state["losses"])
