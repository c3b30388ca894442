"""Largest magnitudes seen on the way, per layer and timestep."""

import torch
from torch import Tensor


class Ranges:
    """An observer that keeps maxima; layer -1 is the network's input.

    Members
    -------
    timestep: the table entry that `see` writes.
    """

    def __init__(self, timesteps: int) -> None:
        self.timesteps, self.timestep = timesteps, 0
        self._seen: dict[tuple[int, str], Tensor] = {}

    def see(self, index: int, key: str, value: Tensor) -> None:
        """Keep the larger of `value` (a scalar or a vector) and what was seen."""
        value = value.detach().to("cpu", torch.float64)
        table = self._seen.setdefault(
            (index, key), torch.zeros((self.timesteps, *value.shape), dtype=torch.float64))
        table[self.timestep] = torch.maximum(table[self.timestep], value)

    def of(self, index: int, key: str) -> Tensor:
        """float64 [T] or [T, C]; KeyError if nothing was seen."""
        return self._seen[index, key]
