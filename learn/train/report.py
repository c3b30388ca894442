"""What a run says while it goes: a bar on a terminal, lines elsewhere, and a log."""

import json
import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

LINE_SECONDS = 30.0


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))


class Report:
    """Progress of one run on stderr, and one JSON line per message in `log`."""

    def __init__(self, log: Path, name: str) -> None:
        self._console = Console(stderr=True, markup=False, highlight=False)
        self._name, self._log, self._last = name, log, 0.0
        self._bar: Progress | None = None

    def __enter__(self) -> "Report":
        self._log.parent.mkdir(parents=True, exist_ok=True)
        if self._console.is_terminal:
            self._bar = Progress(TextColumn(self._name, markup=False), BarColumn(),
                                 TextColumn("{task.fields[text]}", markup=False),
                                 TimeElapsedColumn(), console=self._console)
            self._task = self._bar.add_task("", total=1.0, text="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, text: str) -> None:
        """Print one line."""
        self._console.print(f"{self._name}: {text}", soft_wrap=True)

    def update(self, progress: float, values: dict[str, Any], remaining: float) -> None:
        """Show the state at a check: `values` are step, total, rate, learning_rate, losses."""
        parts = " ".join(f"{k} {v:.4f}" for k, v in values.items()
                         if k not in ("step", "steps", "images_per_second", "seconds", "rate"))
        text = (f"step {values['step']:,}/{values['steps']:,}  {parts}  "
                f"{values['images_per_second']:,.0f} images/s  {duration(remaining)} left")
        if self._bar is not None:
            self._bar.update(self._task, completed=progress, text=text)
        now = time.monotonic()
        if now - self._last >= LINE_SECONDS or progress >= 1:
            self._last = now
            if self._bar is None:
                self.say(text)
            with self._log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(values) + "\n")
