"""Progress on stderr: bars on a terminal, lines now and then elsewhere."""

import time
from threading import RLock
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TimeElapsedColumn

LINE_SECONDS = 30.0
QUIET_SECONDS = 10.0    # in which Steps says nothing


class Bars:
    """Bars by name, and lines in their place; a context manager that any thread may call."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, markup=False, highlight=False)
        self.progress = Progress(
            "{task.description}", BarColumn(), "{task.fields[text]}", TimeElapsedColumn(),
            console=self.console, disable=not self.console.is_terminal)
        self.tasks: dict[str, TaskID] = {}
        self.lock = RLock()
        self.begun = self.spoken = time.monotonic()

    def __enter__(self) -> Self:
        self.begun = self.spoken = time.monotonic()
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def bar(self, name: str, done: float, of: float, text: str) -> None:
        """Move a bar, made when it is first named, and set the text beside it."""
        with self.lock:
            if name not in self.tasks:
                self.tasks[name] = self.progress.add_task(name, total=of, text=text)
            self.progress.update(self.tasks[name], completed=done, text=text)

    def line(self, text: str, now: bool = False) -> bool:
        """Whether a line is due, `now` or every half minute; it is printed where bars are not."""
        with self.lock:
            if not now and time.monotonic() - self.spoken < LINE_SECONDS:
                return False
            self.spoken = time.monotonic()
            if not self.console.is_terminal:
                self.console.print(text, soft_wrap=True)
            return True


class StageBars(Bars):
    """A bar per stage: called with (stage, done, of), and a text where there is more to say."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, tuple[float, int]] = {}

    def __call__(self, stage: str, done: int, of: int, text: str = "") -> None:
        now = time.monotonic()
        start, first = self.first.setdefault(stage, (now, done))
        parts = [f"{done}/{of}", text]
        if done > first:
            left = (now - start) / (done - first) * (of - done)
            parts.append(f"{left / 60:.1f} min left")
        shown = ", ".join(filter(None, parts))
        self.bar(stage, done, of, shown)
        if done > first:
            self.line(f"{stage}: {shown}")


class Steps(Bars):
    """Few long steps: called with (step, what it does now, at last "done").

    Elsewhere than on a terminal a line a change, none in the first ten seconds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.said: dict[str, str] = {}

    def __call__(self, step: str, doing: str) -> None:
        with self.lock:
            if self.said.get(step) == doing:
                return
            self.said[step] = doing
            self.bar(step, int(doing == "done"), 1, doing)
            seconds = time.monotonic() - self.begun
            if seconds >= QUIET_SECONDS:
                self.line(f"{step}: {doing} ({seconds:.0f} s)", now=True)
