"""Progress of sampling on the device: images, steps, layers, rate and time left, on stderr."""

import time
from threading import Lock

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

LINE_SECONDS = 30.0


class SampleProgress:
    """Three bars on a terminal, a line every half minute elsewhere; a context manager.

    Parameters
    ----------
    images, steps: of the run.
    layers: nodes of one step, over all its calls.
    cycles: estimated cycles of one step.
    """

    def __init__(self, images: int, steps: int, layers: int, cycles: int) -> None:
        self.images, self.steps, self.layers = images, steps, layers
        self.left = images * steps * cycles     # estimated cycles that are not yet simulated
        self.per_step = cycles
        self.image = self.step = self.layer = 0
        self.estimated = self.simulated = 0     # since it was entered
        self.begun = self.spoken = time.monotonic()
        self.console = Console(stderr=True, markup=False, highlight=False)
        self.bars = Progress(
            TextColumn("{task.description}"), BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[note]}"),
            console=self.console, disable=not self.console.is_terminal)
        self.tasks: list[TaskID] = []
        self._lock = Lock()

    def __enter__(self) -> "SampleProgress":
        self.begun = self.spoken = time.monotonic()
        for name, total in (("images", self.images), ("steps", self.steps),
                            ("layers", self.layers)):
            self.tasks.append(self.bars.add_task(name, total=total, note=""))
        self.bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bars.stop()

    def begin(self, image: int, step: int) -> None:
        """A step begins."""
        self.image, self.step, self.layer = image, step, 0
        self._show()

    def skip(self) -> None:
        """The step was done in an earlier run."""
        self.left -= self.per_step

    def node(self, estimated: int, cycles: int) -> None:
        """A node has run, on any thread: cycles by estimate and by counter."""
        with self._lock:
            self.layer += 1
            self.estimated += estimated
            self.simulated += cycles
            self._show()

    def note(self) -> str:
        """Rate and time left, in words; empty at first."""
        seconds = time.monotonic() - self.begun
        if not self.estimated or seconds <= 0:
            return ""
        left = (self.left - self.estimated) * seconds / self.estimated
        return f"{self.simulated / seconds / 1000:,.0f}k cycles/s, {max(left, 0) / 60:.1f} min left"

    def _show(self) -> None:
        if self.console.is_terminal:
            done = (self.image, self.step, self.layer)
            for task, count in zip(self.tasks, done, strict=True):
                self.bars.update(task, completed=count,
                                 note=self.note() if task == self.tasks[-1] else "")
        elif time.monotonic() - self.spoken >= LINE_SECONDS:
            self.spoken = time.monotonic()
            self.console.print(
                f"image {self.image + 1}/{self.images}, step {self.step + 1}/{self.steps}, layer "
                f"{self.layer}/{self.layers}: {self.note()}", soft_wrap=True)
