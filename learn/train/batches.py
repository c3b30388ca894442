"""Which data a step sees: a function of the seed and the step alone, so resuming is exact."""

import torch
from torch import Tensor

STREAMS = 1_000_003


def generator(seed: int, step: int, device: torch.device | str = "cpu") -> torch.Generator:
    """The random numbers of one step."""
    return torch.Generator(device).manual_seed((seed * STREAMS + step) % (1 << 63))


class Batches:
    """Indices of each step's batch; every epoch is another permutation of all the data."""

    def __init__(self, count: int, batch: int, seed: int, device: torch.device | str) -> None:
        if count < 1 or batch < 1:
            raise ValueError(f"batches: wanted data and a batch of at least 1, got {count} items "
                             f"and a batch of {batch}")
        self.count, self.batch, self.seed, self.device = count, min(batch, count), seed, device
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def __call__(self, step: int) -> Tensor:
        """int64 (batch,) of step `step`; the rest of an epoch that fills no batch is left out."""
        epoch, position = divmod(step, self.count // self.batch)
        if epoch != self._epoch:
            order = torch.randperm(self.count, generator=generator(self.seed, -1 - epoch))
            self._epoch, self._order = epoch, order.to(self.device)
        return self._order[position * self.batch:(position + 1) * self.batch]
