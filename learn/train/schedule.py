"""How long training lasts, and the learning rate on the way."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Budget:
    """All of a run's steps or minutes, interruptions left out; exactly one is given.

    A budget in minutes ends on time whatever the machine does beside it; only one in steps
    gives the same weights again.
    """

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("budget: wanted one of steps and minutes, got "
                             f"steps={self.steps} minutes={self.minutes}")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps: wanted at least 1, got {self.steps}")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise ValueError(f"minutes: wanted more than 0, got {self.minutes}")

    def progress(self, step: int, seconds: float) -> float:
        """Fraction of the budget spent after `step` steps and `seconds` of training."""
        if self.steps is not None:
            return min(step / self.steps, 1.0)
        assert self.minutes is not None
        return min(seconds / (60 * self.minutes), 1.0)

    def total_steps(self, step: int, seconds: float, seconds_per_step: float) -> int:
        """Steps at the end; a forecast for a budget in minutes."""
        if self.steps is not None:
            return self.steps
        assert self.minutes is not None
        return step + max(0, round((60 * self.minutes - seconds) / seconds_per_step))


def rate(step: int, progress: float, peak: float, warmup: int, floor: float = 0.01) -> float:
    """Learning rate: a linear warm-up, and half a cosine over the budget.

    The warm-up lasts `warmup` steps, or a twentieth of the budget where that is less.
    peak * ramp * (floor + (1 - floor) * (1 + cos(pi * progress)) / 2),
    ramp = min(1, max((step + 1) / warmup, 20 * progress))
    """
    ramp = min(1.0, max((step + 1) / max(warmup, 1), 20 * progress))
    return peak * ramp * (floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2)


def ema_decay(step: int, gamma: float = 6.94, limit: float = 0.9999) -> float:
    """Decay of the average after `step` >= 1 steps: (1 - 1/step)^(gamma + 1), at most `limit`.

    The average's width is a tenth of the training so far (gamma 6.94), however long that is.
    """
    return min((1 - 1 / step) ** (gamma + 1), limit)
