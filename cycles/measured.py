"""What a core counted for the layers of a network, beside what the cycle model says."""

from collections.abc import Sequence
from dataclasses import dataclass

from hqdm.cycles.step import Run, Runs, Step
from hqdm.spec.stalls import CAUSES, Spent

FIGURES = ("cycles", "array busy", *(f"waits: {cause}" for cause in CAUSES))


@dataclass(frozen=True, kw_only=True)
class Measured:
    """The counters of a run of the network on a core.

    Parameters
    ----------
    where: which core, in words.
    calls: of the network, one image each.
    layers: cycles of every layer of the network in order, over all calls.

    Raises
    ------
    ValueError: no call.
    """

    where: str
    calls: int
    layers: tuple[Spent, ...]

    def __post_init__(self) -> None:
        if self.calls < 1:
            raise ValueError(f"measured: wanted at least 1 call of the network, got {self.calls}")

    @property
    def total(self) -> Spent:
        """Of all layers and calls."""
        return sum(self.layers, Spent())

    def beside(self, measured: Spent, estimated: Run | Runs) -> list[tuple[float, int]]:
        """(mean of a call, estimate of a call) for each of FIGURES."""
        return [(count / self.calls, cycles) for count, cycles in zip(
            _figures(measured), _figures(estimated), strict=True)]

    def differing(self, step: Step) -> list[tuple[str, float]]:
        """Layers whose cycles are not those of the estimate, the largest difference first."""
        pairs = ((run.name, spent.cycles / self.calls - run.cycles)
                 for spent, run in zip(self.layers, step.runs, strict=True))
        return sorted((p for p in pairs if p[1]), key=lambda pair: -abs(pair[1]))


def _figures(item: Spent | Run | Runs) -> Sequence[int]:
    return item.cycles, item.busy, *item.stalls.by_cause.values()
