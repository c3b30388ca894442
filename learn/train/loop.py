"""The training loop: budget, checkpoints, sample grids, resuming, stopping."""

import math
import time
from collections import deque
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from hqdm.kit.tensor_file import load_checkpoint
from hqdm.learn.diffusion.grid import save_grid
from hqdm.learn.train.compiled import compile_checked
from hqdm.learn.train.interrupt import Interrupt, deferred_interrupts
from hqdm.learn.train.options import Options, hardware, tune
from hqdm.learn.train.report import Report, duration
from hqdm.learn.train.schedule import rate
from hqdm.learn.train.state import State

WARM_STEPS = 3     # before the clock counts
STATE = "training.safetensors"


class Task(Protocol):
    """What is trained.

    Members
    -------
    name: of the run and of its model file, `<name>.safetensors`.
    model: the module trained.
    recipe: what a continued run must agree on, as JSON holds it.
    """

    name: str
    model: nn.Module
    recipe: dict[str, Any]

    def losses(self, step: int) -> dict[str, Tensor]:
        """Scalar losses of the step's batch; "loss" is the one to minimise."""

    def grid(self, average: nn.Module) -> tuple[Tensor, int]:
        """uint8 images to look at, and how many to a row."""

    def export(self, path: Path, average: nn.Module, training: dict[str, Any]) -> None:
        """Write the finished model to `path`."""


class Diverged(RuntimeError):
    """A loss or gradient that is no number."""


class Trainer:
    """Trains `task` within the budget, continuing a run found in the output folder.

    Files: `training.safetensors` (to resume), `<name>.safetensors` (the average, in half
    precision), `samples/<step>.png`, `log.jsonl`.
    """

    def __init__(self, task: Task, options: Options) -> None:
        self.task, self.options = task, options
        tune(options.device)
        self.state = State(task.model, options.device, options.weight_decay)
        self.recipe = task.recipe | {
            "seed": options.seed, "batch": options.batch,
            "learning_rate": options.learning_rate, "weight_decay": options.weight_decay}
        self._path = options.out / STATE
        self._pending: list[Tensor] = []
        self._now = self._saved = self._drawn = time.monotonic()
        if options.compile:
            compile_checked(task)

    def run(self) -> dict[str, Any]:
        """Train to the end of the budget; returns a summary.

        Raises
        ------
        ValueError: the folder holds a run of another recipe, or a damaged one.
        Diverged: a loss or gradient norm is not finite; the last good checkpoint stays.
        KeyboardInterrupt: asked to stop; everything up to the last step is saved.
        """
        state = self.state
        with Report(self.options.out / "log.jsonl", self.task.name) as report:
            if self._path.is_file():
                state.load(self._path, self.recipe)
                report.say(f"continuing at step {state.step:,}")
            with deferred_interrupts() as interrupt:
                self._train(report, interrupt)
            if interrupt.asked:
                report.say(f"stopped at step {state.step:,}; the same command continues")
                raise KeyboardInterrupt
            self._draw()
        return self.summary()

    def summary(self) -> dict[str, Any]:
        """Where the run is and what it cost."""
        state, options = self.state, self.options
        return {"step": state.step, "images": state.step * options.batch,
                "seconds": round(state.seconds, 1), "hardware": hardware(options.device),
                "torch": torch.__version__} | state.losses

    def _progress(self) -> float:
        return self.options.budget.progress(self.state.step, self.state.seconds)

    def _train(self, report: Report, interrupt: Interrupt) -> None:
        first, every, rates = self.state.step, self.options.check_every, Rates()
        self._now = self._saved = self._drawn = time.monotonic()
        while self._progress() < 1 and not interrupt.asked:
            self._step()
            done = self.state.step - first
            if done % every == WARM_STEPS % every:
                self._check()
                rates.mark(self.state.step, self.state.seconds)
                self._tell(report, rates, announce=done == WARM_STEPS + every)
                self._write_files(rates)
        if self._pending:
            self._check()
        if self.state.step > first:
            self._save()

    def _step(self) -> None:
        state, options = self.state, self.options
        for group in state.optimizer.param_groups:
            group["lr"] = rate(state.step, self._progress(), options.learning_rate,
                               options.warmup)
        losses = self.task.losses(state.step)
        losses["loss"].backward()
        norm = state.update(options.clip)
        self._names = [*losses, "gradient"]
        self._pending.append(torch.stack([t.detach().float() for t in [*losses.values(), norm]]))
        now = time.monotonic()
        state.seconds += now - self._now
        self._now = now

    def _check(self) -> None:
        """Wait for the device; raise if any value since the last check is not finite."""
        rows = torch.stack(self._pending).cpu()
        before = self.state.step - len(self._pending)
        self._pending = []
        for index, row in enumerate(rows):
            for name, value in zip(self._names, row.tolist(), strict=True):
                if not math.isfinite(value):
                    raise Diverged(f"{self.task.name}: {name} is {value} at step "
                                   f"{before + index + 1}; {self._last_good()}")
        means = rows.mean(0).tolist()
        self.state.losses = {n: round(v, 6) for n, v in zip(self._names, means, strict=True)}

    def _last_good(self) -> str:
        if not self._path.is_file():
            return "no checkpoint had been written"
        step = load_checkpoint(self._path, "training").training["step"]
        return f"the last good checkpoint is {self._path}, step {step}"

    def _tell(self, report: Report, rates: "Rates", announce: bool) -> None:
        state, budget = self.state, self.options.budget
        per_step = rates.seconds_per_step
        if per_step is None:
            return
        steps = budget.total_steps(state.step, state.seconds, per_step)
        left = (steps - state.step) * per_step
        if announce:
            report.say(
                f"{per_step:.3f} s a step, {self.options.batch / per_step:,.0f} images/s on "
                f"{hardware(self.options.device)}: {steps - state.step:,} steps to go, about "
                f"{duration(left)}")
        report.update(self._progress(), {
            "step": state.step, "steps": steps, "seconds": round(state.seconds, 1),
            "images_per_second": round(self.options.batch / per_step, 1),
            "rate": state.optimizer.param_groups[0]["lr"]} | state.losses, left)

    def _write_files(self, rates: "Rates") -> None:
        now, options = time.monotonic(), self.options
        if now - self._saved >= 60 * options.checkpoint_minutes:
            self._save()
            rates.forget()
        if now - self._drawn >= 60 * options.grid_minutes:
            self._draw()
            rates.forget()

    def _save(self) -> None:
        self.state.save(self._path, self.recipe)
        self.task.export(self.options.out / f"{self.task.name}.safetensors", self.state.average,
                         self.recipe | self.summary())
        self._saved = time.monotonic()

    def _draw(self) -> None:
        images, columns = self.task.grid(self.state.average)
        save_grid(self.options.out / "samples" / f"{self.state.step:07d}.png", images, columns,
                  scale=2)
        self._drawn = time.monotonic()


class Rates:
    """Seconds a step took, averaged over the last marks."""

    def __init__(self) -> None:
        self._marks: deque[tuple[int, float]] = deque(maxlen=11)

    def mark(self, step: int, seconds: float) -> None:
        """Note that `step` steps had taken `seconds`."""
        self._marks.append((step, seconds))

    def forget(self) -> None:
        """Start anew, after time spent on something else than steps."""
        self._marks.clear()

    @property
    def seconds_per_step(self) -> float | None:
        """None before two marks."""
        if len(self._marks) < 2:
            return None
        (first, start), (last, end) = self._marks[0], self._marks[-1]
        return max(end - start, 1e-9) / (last - first)
