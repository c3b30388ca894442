"""Area by unit as a bar chart: a picture, or bars of text."""

from io import BytesIO
from typing import Any

from rich.console import Console
from rich.table import Table

from hqdm.cycles.plots import plotting

WIDTH = 20      # characters of the longest bar
TITLES = {"lut4": "LUT4 (TRELLIS_COMB)", "lut6": "LUT6", "carry": "carry cells",
          "ff": "flip-flops", "dsp": "multipliers", "bram": "block RAMs"}


def columns_of(result: dict[str, Any]) -> list[str]:
    """The resources that `result` counts."""
    return [name for name in TITLES if name in result]


def headline(result: dict[str, Any]) -> list[str]:
    """The totals in words: counts against what the device has, clock rate."""
    available = result.get("available", {})
    parts = []
    for name in columns_of(result):
        of = f" of {available[name]:,} ({result[name] / available[name]:.0%})" if (
            name in available) else ""
        parts.append(f"{result[name]:,}{of} {TITLES[name]}")
    lines = [f"{result['config']} on {result['device']}, {result['flow']}: {parts[0]}",
             "  " + ", ".join(parts[1:])]
    if result["fmax_mhz_median"] is not None:
        seeds = ", ".join(f"seed {seed}: {rate:.1f}" for seed, rate in result["fmax_mhz"].items())
        lines.append(f"  speed grade {result['speed']}: median {result['fmax_mhz_median']:.1f} "
                     f"MHz, best {result['fmax_mhz_best']:.1f} MHz ({seeds})")
        path = result["critical_path"]
        if path:
            lines.append(f"  slowest path: {path['logic_ns']} ns of logic, {path['routing_ns']} "
                         f"ns of routing, from {path['nets'][0]} to {path['nets'][-1]}")
    share = result["hadamard_and_array"]
    if share:
        first = columns_of(result)[0]
        lines.append(
            f"  Hadamard, both rotations: {share['hadamard'][first]:,} {TITLES[first]}; array: "
            f"{share['array'][first]:,} and {share['array']['dsp']:,} multipliers")
    return lines


def print_units(result: dict[str, Any], console: Console) -> None:
    """One row and one bar per unit."""
    columns = columns_of(result)
    first = columns[0]
    longest = max(row[first] for row in result["units"].values()) or 1
    table = Table("unit", *columns, "share", "", box=None)
    table.columns[0].no_wrap, table.columns[0].min_width = True, max(map(len, result["units"]))
    for index in range(1, len(columns) + 2):
        table.columns[index].justify = "right"
    for unit, row in result["units"].items():
        table.add_row(unit, *(f"{row[c]:,}" for c in columns),
                      f"{row[first] / (result[first] or 1):.1%}",
                      "█" * round(WIDTH * row[first] / longest))
    console.print(table)


def draw(result: dict[str, Any]) -> bytes:
    """A bar chart as PNG: one panel per resource, units from the largest down."""
    _, figures = plotting()
    units = list(result["units"])[::-1]
    columns = columns_of(result)
    figure = figures.Figure(figsize=(3 + 2.4 * len(columns), 1.4 + 0.2 * len(units)), dpi=110,
                            layout="constrained")
    for axis, column in zip(figure.subplots(1, len(columns), sharey=True), columns, strict=True):
        counts = [result["units"][unit][column] for unit in units]
        bars = axis.barh(units, counts, height=0.75)
        axis.locator_params(axis="x", nbins=4)      # so that labels of five digits fit
        axis.bar_label(bars, [f"{n:,}" if n else "" for n in counts], fontsize=6, padding=2)
        axis.set_title(f"{TITLES[column]}: {result[column]:,}", fontsize=8)
        axis.margins(x=0.2, y=0.01)
        axis.tick_params(labelsize=7)
    figure.suptitle(headline(result)[0].split(":")[0], fontsize=9)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
