"""What `hqdm cycles` prints on a terminal."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from firmware.cycles.estimate import CAUSES
from firmware.cycles.groups import Group, groups, worst
from firmware.cycles.network import Run
from firmware.cycles.question import Answer

WORST = 8


def seconds(value: float) -> str:
    """A time with a unit that suits it."""
    for limit, factor, unit in ((1, 1, "s"), (1e-3, 1e3, "ms"), (0, 1e6, "µs")):
        if value >= limit:
            return f"{value * factor:.3g} {unit}" if value < 1000 else f"{value:,.0f} s"
    raise AssertionError(value)


def _columns(first: str) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 1))
    table.add_column(first, no_wrap=True)
    for name in ("layers", "GMAC", "Mcycles", "share", "array use", "array busy", *CAUSES, "MB"):
        table.add_column(name, justify="right")
    table.add_column("bound by")
    return table


def _row(name: str, item: Group | Run, count: int, total: int) -> list[str]:
    """Stalls are shares of the item's own cycles."""
    busy = item.busy if isinstance(item, Group) else item.runs * item.estimate.busy
    return [
        name, f"{count}", f"{item.macs / 1e9:,.3f}", f"{item.cycles / 1e6:,.3f}",
        f"{item.cycles / total:.1%}", f"{item.ideal_cycles / item.cycles:.1%}",
        f"{busy / item.cycles:.1%}",
        *(f"{item.stalls[cause] / item.cycles:.1%}" for cause in CAUSES),
        f"{sum(item.dram_bytes.values()) / 1e6:,.1f}", item.bound]


def kinds_table(answer: Answer) -> Table:
    """Layers by kind, and all of them."""
    step, table = answer.step, _columns("layers by kind")
    for group in groups(step.runs):
        table.add_row(*_row(group.kind, group, len(group.runs), step.cycles))
    table.add_section()
    whole = Group(kind="all", runs=step.runs)
    table.add_row(*_row("one step", whole, len(step.runs), step.cycles), style="bold")
    return table


def layers_table(runs: Iterable[Run], total: int, title: str) -> Table:
    """Some layers, one a row."""
    table = _columns(title)
    for run in runs:
        table.add_row(*_row(run.name, run, run.runs, total))
    table.columns[1].header = "runs"
    return table


def _pairs(title: str, rows: Iterable[tuple[str, str]]) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 1))
    table.add_column(title, no_wrap=True)
    table.add_column("", justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def headline(answer: Answer) -> list[str]:
    """The answer in a few lines."""
    step, model = answer.step, answer.model
    per_image = f"{answer.calls // answer.steps} calls" if model.guidance else "1 call"
    lines = [
        f"{model.name} on {step.config.name}: {step.cycles:,} cycles per denoising step, array "
        f"use {step.utilization:.1%}",
        f"  one step is one call of the network for {step.batch} image"
        f"{'s that share the weights' if step.batch > 1 else ''}: {step.macs / 1e9:,.2f} GMAC, "
        f"{answer.shapes.parameters:,} parameters",
        f"  at {answer.clock:g} MHz: {seconds(answer.seconds_per_step)} per step, "
        f"{seconds(answer.seconds_per_image)} per image ({answer.steps} steps, {per_image} each), "
        f"host work not included"]
    if answer.alone:
        lines.append(f"  sharing weights: {answer.alone.cycles * step.batch:,} cycles one by one, "
                     f"{answer.gain:.3f} times as many")
    return lines


def print_answer(answer: Answer, every_layer: bool) -> None:
    """Headline, layers by kind, worst layers (or all), what is folded, what the host does."""
    console = Console(markup=False, highlight=False)
    console.print("\n".join(headline(answer)), soft_wrap=True)
    step = answer.step
    shown = step.runs if every_layer else worst(step.runs, WORST)
    title = "every layer" if every_layer else "most cycles lost"
    tables = [kinds_table(answer), layers_table(shown, step.cycles, title)]
    if answer.shapes.folded:
        tables.append(_pairs("folded into constants", (
            (f.what, f"{f.macs * step.batch / 1e9:,.4f} GMAC") for f in answer.shapes.folded)))
    tables.append(_pairs("still on the host, per step", (
        (h.stage, f"{h.elements:,} values") for h in step.host)))
    for table in tables:
        console.print()
        console.print(table, soft_wrap=not console.is_terminal)
