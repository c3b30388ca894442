"""The cells of the quality table: which method at which bits, with which budget and seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hqdm.learn.qat.methods import ConvAxis, Method, make_method

OTHER_BITS = ((8, 8), (8, 4), (4, 8), (3, 4), (2, 4))
ORDERS = (3, 4, 5, 6)
AXES: tuple[ConvAxis, ...] = ("width", "channel")


@dataclass(frozen=True)
class Cell:
    """One network of the table.

    Members
    -------
    seed: of LoRA, trajectories and batches.
    budget: "full" or "small": which number of iterations.
    """

    method: Method
    seed: int
    budget: str

    @property
    def name(self) -> str:
        """Of its files: hqdm-width-k5-w4a4-full-s0."""
        return f"{self.method.label}-{self.budget}-s{self.seed}"


def duel(activations: int) -> list[Method]:
    """The two methods whose difference the table is for, at W4."""
    return [make_method("hqdm", activations=activations, axis="channel", span="free"),
            make_method("efficientdm", activations=activations)]


def others(activations: int) -> list[Method]:
    """What they are compared with at W4: the other axis, the paper's ranges, other methods."""
    kinds: list[tuple[str, ConvAxis | None]] = [
        ("hqdm", "width"), ("hqdm", "channel"), ("double-hadamard", None), ("ptq", None)]
    return [make_method(name, activations=activations, axis=axis) for name, axis in kinds]


def best_axes(activations: int) -> list[Method]:
    """HQ-DM with each layer's better axis, at W4."""
    return [make_method("hqdm", activations=activations, axis="best", span="free")]


def table_cells(seeds: Sequence[int]) -> list[Cell]:
    """All cells, most important first.

    HQ-DM and EfficientDM at W4A4 and W4A3, full budget, every seed; the other methods, one seed;
    at the small budget and with the first seed the other bits of HQ-DM and the orders at W4A4,
    the usual one among them to compare with; last the other methods with the other seeds, and
    each layer's better axis.

    Raises
    ------
    ValueError: no seeds.
    """
    if not seeds:
        raise ValueError("--seeds: wanted at least one, got none")

    def full(methods: Callable[[int], list[Method]], chosen: Sequence[int]) -> list[Cell]:
        return [Cell(m, seed, "full") for seed in chosen for a in (4, 3) for m in methods(a)]

    def small(**keywords: Any) -> list[Cell]:
        return [Cell(make_method("hqdm", axis=axis, **keywords), seeds[0], "small")
                for axis in AXES]

    bits = [c for w, a in OTHER_BITS for c in small(weights=w, activations=a)]
    orders = [c for order in ORDERS for c in small(order=order)]
    return [*full(duel, seeds), *full(others, seeds[:1]), *bits, *orders,
            *full(others, seeds[1:]), *full(best_axes, seeds)]
