"""Finished cells of the quality table as JSON and Markdown: means and spread over seeds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from bench.command import write_json
from hqdm.kit.files import write_atomically
from hqdm.learn.evaluation.report import markdown

COLUMNS = ("method", "rotation", "range", "bits", "budget", "seeds", "n", "FD", "KID x1000", "IS",
           "precision", "recall", "PSNR, dB", "cosine",
           "worst step")
NUMBERS = (("fd", 1, 2), ("kid", 1000, 2), ("is", 1, 2), ("precision", 1, 3), ("recall", 1, 3),
           ("psnr", 1, 1), ("cosine", 1, 4), ("cosine_worst", 1, 4))


def spread(values: Sequence[float], digits: int) -> str:
    """"mean (least to most)", or the one value."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return (f"{mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})")


def _line(first: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    numbers = []
    for key, factor, digits in NUMBERS:
        values = [factor * row[key] for row in rows if row.get(key) is not None]
        numbers.append(spread(values, digits) if values else "")
    seeds = str(len(rows)) if first[3] else ""
    return [*first, seeds, f"{rows[0]['n']:,}", *numbers]


def _group(row: Mapping[str, Any]) -> tuple[str, ...]:
    rotation = "none" if row["axis"] == "none" else f"{row['axis']}, k = {row['order']}"
    budget = "none" if row["method"] == "ptq" else f"{row['budget']}, {row['iterations']:,}"
    return row["method"], rotation, row["range"], f"W{row['weights']}A{row['activations']}", budget


def summary(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """All `rows` by name, the settings they share, and the table as Markdown."""
    if not rows:
        return {"rows": {}, "markdown": ""}
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows.values():
        groups.setdefault(_group(row), []).append(row)
    one = next(iter(rows.values()))
    lines = [_line(["test images (floor)", "", "", "", ""], [one["floor"]]),
             _line(["float", "", "", "", ""], [one["float"]])]
    lines += [_line(group, members) for group, members in groups.items()]
    return {"settings": one["settings"], "extractor": one["extractor"],
            "hardware": one["hardware"], "floor": one["floor"], "float": one["float"],
            "rows": dict(rows),
            "markdown": markdown(COLUMNS, lines) + "\n" + _caption(one)}


def _caption(one: Mapping[str, Any]) -> str:
    s = one["settings"]
    return (f"Features of {one['extractor']}; n = {s['n']:,} images each against {s['real']:,} "
            f"training images; {s['steps']} steps, guidance {s['guidance']:g}, image seed "
            f"{s['seed']}. Budget: iterations of batch {s['batch']} on {s['trajectories']} "
            f"trajectories. Over several seeds: mean (least to most). PSNR of the latents and "
            f"cosine per UNet call: to the float model.\n")


def write(folder: Path, result: Mapping[str, Any]) -> None:
    """quality.json and quality.md in `folder`."""
    write_json(folder / "quality.json", result)
    write_atomically(folder / "quality.md", result["markdown"])
