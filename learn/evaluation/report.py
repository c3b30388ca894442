"""The result of an evaluation as a table; every row has its n."""

from collections.abc import Mapping
from typing import Any

COLUMNS = ("model", "n", "FD", "KID x1000", "IS", "precision", "recall", "PSNR, dB", "cosine",
           "worst step")
FLOOR = "test images (floor)"


def cells(name: str, row: Mapping[str, Any]) -> list[str]:
    """The texts of one row, in the order of COLUMNS."""
    def number(key: str, digits: int) -> str:
        if key not in row:
            return ""
        return "same" if row[key] is None else f"{row[key]:.{digits}f}"

    kernel = f"{1000 * row['kid']:.2f} ± {1000 * row['kid_std']:.2f}"
    score = f"{row['is']:.2f} ± {row['is_std']:.2f}" if row["is_std"] else f"{row['is']:.2f}"
    return [name, f"{row['n']:,}", number("fd", 2), kernel, score, number("precision", 3),
            number("recall", 3), number("psnr", 1), number("cosine", 5),
            number("cosine_worst", 5)]


def table(result: Mapping[str, Any]) -> list[list[str]]:
    """Rows of texts: the floor of real test images, then every network."""
    return [cells(FLOOR, result["floor"])] + [
        cells(name, row) for name, row in result["models"].items()]


def caption(result: Mapping[str, Any]) -> str:
    """What the numbers are: one line."""
    return (f"features of {result['extractor']}, against {result['floor']['n_real']:,} training "
            f"images; seed {result['seed']}, {result['steps']} steps, guidance "
            f"{result['guidance']:g}; distances to {result['reference']}")


def markdown(columns: tuple[str, ...] | list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
