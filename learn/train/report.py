"""What a run says while it goes: a bar on a terminal, lines elsewhere, and a log."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from hqdm.kit.progress import Bars


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))


class Report(Bars):
    """Progress of one run on stderr, and one JSON line every half minute in `log`."""

    def __init__(self, log: Path, name: str) -> None:
        super().__init__()
        self._name, self._log = name, log

    def __enter__(self) -> Self:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        super().__enter__()
        self.spoken = 0.0       # the first check is told at once
        return self

    def say(self, text: str) -> None:
        """Print one line."""
        self.console.print(f"{self._name}: {text}", soft_wrap=True)

    def update(self, progress: float, values: dict[str, Any], remaining: float) -> None:
        """Show the state at a check: `values` are step, total, rate, learning_rate, losses."""
        parts = " ".join(f"{k} {v:.4f}" for k, v in values.items()
                         if k not in ("step", "steps", "images_per_second", "seconds", "rate"))
        text = (f"step {values['step']:,}/{values['steps']:,}  {parts}  "
                f"{values['images_per_second']:,.0f} images/s  {duration(remaining)} left")
        self.bar(self._name, progress, 1.0, text)
        if self.line(f"{self._name}: {text}", now=progress >= 1):
            with self._log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(values) + "\n")
