"""The timestep that every quantiser of one model reads: the software twin of `TIMESTEP`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hqdm.spec.plain import shown

TIMESTEPS = 1 << 16     # of any scheduler


def check_schedule(name: str, schedule: Any) -> tuple[int, ...]:
    """The timesteps as a tuple; ValueError unless they are different integers from 0 on."""
    steps = tuple(schedule) if isinstance(schedule, Sequence) else ()
    if not steps or not all(type(t) is int and 0 <= t < TIMESTEPS for t in steps) or len(
            set(steps)) != len(steps):
        raise ValueError(f"{name}: wanted different timesteps, got {shown(schedule)}; they are "
                         f"integers, 0..{TIMESTEPS - 1}")
    return steps


class Timestep:
    """Index into the per-timestep tables, shared by all quantisers of one model.

    `select` is installed as the model's forward pre-hook, so that a converted model is called
    like any other diffusers model: `model(sample, timestep, ...)`.

    Parameters
    ----------
    schedule: the scheduler's timesteps, one per table entry, in sampling order.

    Members
    -------
    index: int64, () or (B,): the entry for the whole batch, or one per sample.
    observing: calibration in progress: quantisers record and pass values unrounded.

    Raises
    ------
    ValueError: an empty schedule or a repeated timestep.
    """

    def __init__(self, schedule: Sequence[int]) -> None:
        self.schedule = check_schedule("schedule", schedule)
        self.index = torch.zeros((), dtype=torch.int64)
        self.observing = False
        self._pinned = False
        self._lookup = torch.full((max(self.schedule) + 1,), -1, dtype=torch.int64)
        self._lookup[list(self.schedule)] = torch.arange(len(self.schedule))

    def __len__(self) -> int:
        return len(self.schedule)

    def entries(self, timestep: Tensor | int | float) -> Tensor:
        """Table entries of `timestep`, int64 of its shape, on the CPU.

        Raises
        ------
        ValueError: a timestep that is not in the schedule.
        """
        t = torch.as_tensor(timestep).detach().cpu().to(torch.int64)
        known = (t >= 0) & (t < len(self._lookup))
        found = torch.where(known, self._lookup[t.clamp(0, len(self._lookup) - 1)], -1)
        if bool((found < 0).any()):
            wrong = int(t[found < 0].flatten()[0])
            raise ValueError(f"timestep: wanted one of the {len(self)} calibrated steps "
                             f"({self.schedule[0]} .. {self.schedule[-1]}), got {wrong}")
        return found

    def select(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Forward pre-hook: look the model's timestep argument up."""
        if not self._pinned:
            device = (args[0] if args else kwargs["sample"]).device
            value = kwargs["timestep"] if "timestep" in kwargs else args[1]
            self.index = self.entries(value).to(device)

    @contextmanager
    def pinned(self, index: Tensor) -> Iterator[None]:
        """Use `index` for every call inside, without looking up (and without a GPU sync)."""
        self.index, self._pinned = index, True
        try:
            yield
        finally:
            self._pinned = False

    @contextmanager
    def observation(self) -> Iterator[None]:
        """Calibrate: quantisers set their entry from what they see and do not round."""
        self.observing = True
        try:
            yield
        finally:
            self.observing = False

    def positions(self, kept: Sequence[int]) -> list[int]:
        """Entries of the timesteps `kept`: every fifth of 100 for 20-step sampling."""
        return self.entries(torch.tensor(list(kept))).tolist()
