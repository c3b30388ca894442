"""Progress on stderr: a bar per stage on a terminal, a line every half minute elsewhere."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LINE_SECONDS = 30.0


class StageBars:
    """Called with (stage, done, of); a context manager."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, markup=False, highlight=False)
        self.progress = Progress(
            TextColumn("{task.description}"), BarColumn(),
            TextColumn("{task.completed}/{task.total}"), TimeRemainingColumn(),
            console=self.console, disable=not self.console.is_terminal)
        self.tasks: dict[str, TaskID] = {}
        self.begun: dict[str, tuple[float, int]] = {}
        self.spoken = time.monotonic()

    def __enter__(self) -> "StageBars":
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def __call__(self, stage: str, done: int, of: int) -> None:
        now = time.monotonic()
        start, first = self.begun.setdefault(stage, (now, done))
        if self.console.is_terminal:
            if stage not in self.tasks:
                self.tasks[stage] = self.progress.add_task(stage, total=of)
            self.progress.update(self.tasks[stage], completed=done)
        elif done > first and now - self.spoken >= LINE_SECONDS:
            self.spoken = now
            left = (now - start) / (done - first) * (of - done)
            self.console.print(f"{stage}: {done}/{of}, {left / 60:.1f} min left", soft_wrap=True)
