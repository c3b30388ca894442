"""Progress of a few long steps on stderr: a line each on a terminal, a line a change elsewhere."""

import threading
import time

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

QUIET_SECONDS = 10.0


class Steps:
    """Called with (step, what it does now), from any thread; a context manager.

    Elsewhere than on a terminal, nothing is said in the first ten seconds.
    """

    def __init__(self) -> None:
        self.console = Console(stderr=True, markup=False, highlight=False)
        self.progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
            console=self.console, disable=not self.console.is_terminal)
        self.tasks: dict[str, TaskID] = {}
        self.said: dict[str, str] = {}
        self.start = time.monotonic()
        self.lock = threading.Lock()

    def __enter__(self) -> "Steps":
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.progress.stop()

    def __call__(self, step: str, doing: str) -> None:
        with self.lock:
            if self.said.get(step) == doing:
                return
            self.said[step] = doing
            text = f"{step}: {doing}"
            seconds = time.monotonic() - self.start
            if not self.console.is_terminal:
                if seconds >= QUIET_SECONDS:
                    self.console.print(f"{text} ({seconds:.0f} s)", soft_wrap=True)
                return
            if step not in self.tasks:
                self.tasks[step] = self.progress.add_task(text, total=1)
            self.progress.update(self.tasks[step], description=text,
                                 completed=int(doing == "done"))
