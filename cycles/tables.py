"""What `hqdm cycles` prints on a terminal."""

from collections.abc import Iterable

from rich.table import Table

from hqdm.cycles.groups import Group, groups, short, worst
from hqdm.cycles.question import Answer
from hqdm.cycles.step import Run
from hqdm.kit.console import make_console
from hqdm.spec.stalls import CAUSES

WORST = 8
NOTE = ("Array use is products over cells times cycles: a product of 8 x 8 bits takes 4 passes, of "
        "8 x 4 bits 2, so 8-bit layers reach a quarter. Array busy counts the passes; waits and "
        "busy make up the cycles.")


def seconds(value: float) -> str:
    """A time with a unit that suits it."""
    shown = float(f"{value:.3g}")       # 0.9999 is a second, not 1e+03 ms
    for limit, factor, unit in ((1, 1, "s"), (1e-3, 1e3, "ms"), (0, 1e6, "µs")):
        if shown >= limit:
            return f"{value * factor:.3g} {unit}" if shown < 1000 else f"{value:,.0f} s"
    raise AssertionError(value)


def _table(*columns: str) -> Table:
    """A table whose columns are numbers but for the first."""
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column(columns[0], no_wrap=True)
    for name in columns[1:]:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def number(value: float) -> str:
    """About five digits."""
    return f"{value:,.{3 if value < 100 else 1 if value < 10_000 else 0}f}"


def _shares(item: Group | Run, total: int) -> list[str]:
    """Cycles, share of the step, array use, array busy."""
    return [number(item.cycles / 1e6), f"{item.cycles / total:.1%}",
            f"{item.ideal_cycles / item.cycles:.1%}", f"{item.busy / item.cycles:.1%}"]


def waits(item: Group | Run, count: int = len(CAUSES)) -> str:
    """The causes that the array waits for most, in shares of the item's cycles."""
    shares = sorted(((cycles / item.cycles, cause)
                     for cause, cycles in item.stalls.by_cause.items()), reverse=True)[:count]
    return ", ".join(f"{cause} {share:.1%}" for share, cause in shares if share >= 0.0005)


def kinds_table(answer: Answer) -> Table:
    """Layers by kind, and all of them."""
    step = answer.step
    table = _table("layers by kind", "n", "GMAC", "Mcycles", "share", "use", "busy", "MB", "bound")

    def add(group: Group, style: str = "") -> None:
        moved = sum(group.dram_bytes.values()) / 1e6
        table.add_row(group.kind, f"{len(group.runs)}", number(group.macs / 1e9),
                      *_shares(group, step.cycles), f"{moved:,.{1 if moved < 1000 else 0}f}",
                      group.bound, style=style)
    for group in groups(step.runs):
        add(group)
    add(Group(kind="one step", runs=step.runs), "bold")
    return table


def worst_table(answer: Answer) -> Table:
    """The layers that lose most; those of the same sizes in one row."""
    table = _table("layers that lose most", "n", "Mcycles", "busy", "waits for")
    table.columns[-1].justify = "left"
    for group in worst(answer.step.runs, WORST):
        cycles, _, _, busy = _shares(group, answer.step.cycles)
        table.add_row(group.kind, f"{len(group.runs)}", cycles, busy, waits(group, 2))
    return table


def layers_table(answer: Answer) -> Table:
    """Every layer, one a row."""
    table = _table("layer", "runs", "Mcycles", "share", "use", "busy", "waits for")
    table.columns[-1].justify = "left"
    for run in answer.step.runs:
        table.add_row(short(run.name), f"{run.runs}", *_shares(run, answer.step.cycles),
                      waits(run))
    return table


def _pairs(title: str, rows: Iterable[tuple[str, str]]) -> Table:
    table = _table(title, "")
    for row in rows:
        table.add_row(*row)
    return table


def headline(answer: Answer) -> list[str]:
    """The answer in a few lines."""
    step, model = answer.step, answer.shapes
    images = "1 image" if step.batch == 1 else (
        f"{step.batch} images, sharing weights where that helps")
    calls = "2 calls each" if model.guidance else "1 call each"
    shares = waits(Group(kind="one step", runs=step.runs)) or "nothing"
    text = f"""\
{model.name} on {step.config.name}: {step.cycles:,} cycles per denoising step, array use {
        step.utilization:.1%}{f" ({model.assumed})" if model.assumed else ""}
  one step is one call of the network for {images}: {step.macs / 1e9:,.2f} GMAC, {
        answer.shapes.parameters:,} parameters
  at {answer.clock:g} MHz: {seconds(answer.seconds_per_step)} per step, {
        seconds(answer.seconds_per_image)} per image ({answer.steps} steps, {
        calls}), without the host's work
  the array waits for: {shares}"""
    if answer.alone:
        text += (f"\n  sharing weights: {answer.alone.cycles * step.batch:,} cycles one by one, "
                 f"{answer.gain:.3f} times as many")
    return text.split("\n")


def print_answer(answer: Answer, every_layer: bool) -> None:
    """Headline, layers by kind, worst layers (or all), what is folded, what the host does."""
    console = make_console()
    console.print("\n".join(headline(answer)), soft_wrap=True)
    step = answer.step
    tables = [kinds_table(answer), layers_table(answer) if every_layer else worst_table(answer)]
    if answer.shapes.folded:
        tables.append(_pairs("folded into constants", (
            (f.what, f"{f.macs * step.batch / 1e9:,.4f} GMAC") for f in answer.shapes.folded)))
    tables.append(_pairs("still on the host, per step", (
        (h.stage, f"{h.elements:,} values") for h in step.host)))
    for table in tables:
        console.print()
        console.print(table)
    console.print(f"\n{NOTE}")
