"""The cells of the quality table: which method at which bits, with which budget and seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

from golden.qat.methods import ConvAxis, Method, Range, make_method

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


def main_methods(activations: int) -> list[Method]:
    """Every method at W4."""
    kinds: list[tuple[str, ConvAxis | None, Range | None]] = [
        ("hqdm", "best", "free"), ("hqdm", "channel", "free"), ("hqdm", "width", None),
        ("hqdm", "channel", None), ("efficientdm", None, None), ("double-hadamard", None, None),
        ("ptq", None, None), ("hqdm", "best", None)]
    return [make_method(name, weights=4, activations=activations, axis=axis, span=span)
            for name, axis, span in kinds]


def table_cells(seeds: Sequence[int]) -> list[Cell]:
    """All cells, most important first.

    W4A4 and W4A3 of every method at full budget, seed by seed; then, at the small budget and
    with the first seed, the other bits of HQ-DM and the orders at W4A4, the usual one among them
    to compare with.

    Raises
    ------
    ValueError: no seeds.
    """
    if not seeds:
        raise ValueError("--seeds: wanted at least one, got none")
    cells = [Cell(m, seed, "full") for seed in seeds for a in (4, 3) for m in main_methods(a)]
    cells += [Cell(make_method("hqdm", weights=w, activations=a, axis=axis), seeds[0], "small")
              for w, a in OTHER_BITS for axis in AXES]
    cells += [Cell(make_method("hqdm", axis=axis, order=order), seeds[0], "small")
              for axis in AXES for order in ORDERS]
    return cells
