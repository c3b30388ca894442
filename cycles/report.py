"""The report of `hqdm cycles` and of `hqdm sample`: one HTML page that needs nothing else, or its
plots alone."""

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from hqdm.cycles.groups import Group, groups
from hqdm.cycles.measured import FIGURES, Measured
from hqdm.cycles.plots import draw, plotting
from hqdm.cycles.question import Answer
from hqdm.cycles.step import Run, Runs
from hqdm.cycles.tables import NOTE, headline
from hqdm.kit.files import check_writable, is_plain, write_atomically
from hqdm.spec.stalls import CAUSES, Spent

ENDINGS = (".html", ".png", ".svg")
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 76em; padding: 0 1em; }
h1 { font-size: 1.4em; } h2 { font-size: 1.1em; margin-top: 2em; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .2em .7em; text-align: right; white-space: nowrap; }
th:first-child, td:first-child, th:last-child, td:last-child { text-align: left; }
thead th { border-bottom: 1px solid #888; position: sticky; top: 0; background: #fff; }
tbody tr:nth-child(even) { background: #f4f4f4; } tr.all { font-weight: bold; }
.wide { overflow-x: auto; } svg { width: 100%; height: auto; }
"""


def check_report(option: str, path: Path) -> None:
    """Refuse what `write_report` could not write, before the work.

    Raises
    ------
    ValueError: another ending than one of ENDINGS.
    OSError: a folder, or a file that could not be written.
    ModuleNotFoundError: matplotlib is not installed.
    """
    check_writable(path)
    if is_plain(path) and path.suffix not in ENDINGS:
        raise ValueError(f"{option}: wanted a file ending in {', '.join(ENDINGS)}, got {path}")
    plotting()


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], last: str = "",
           above: str = "") -> str:
    """An HTML table; the last row of class `last`, a row of titles `above` the head."""
    lines = [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows]
    if last and lines:
        lines[-1] = lines[-1].replace("<tr>", f'<tr class="{last}">')
    titles = "".join(f"<th>{escape(h)}</th>" for h in head)
    body = "\n".join(lines)
    return (f'<div class="wide"><table><thead>{above}<tr>{titles}</tr></thead>\n'
            f"<tbody>{body}</tbody></table></div>")


def _row(name: str, item: Run | Group, total: int, extra: str) -> list[str]:
    moved = sum(item.dram_bytes.values())
    return [
        name, extra, f"{item.macs / 1e6:,.1f}", f"{item.ideal_cycles:,.0f}", f"{item.cycles:,}",
        f"{item.cycles / total:.2%}", f"{item.ideal_cycles / item.cycles:.1%}",
        f"{item.busy / item.cycles:.1%}", *(f"{n:,}" for n in item.stalls.by_cause.values()),
        f"{moved / 1e6:,.2f}", item.bound]


HEAD = ("MMAC", "ideal cycles", "cycles", "share", "array use", "array busy",
        *(f"waits: {c}" for c in CAUSES), "MB", "bound by")


def _layers(answer: Answer) -> str:
    total = answer.step.cycles
    rows = (_row(r.name, r, total, f"{r.runs}")
            for r in answer.step.runs)
    return _table(("layer", "runs", *HEAD), rows)


def _kinds(answer: Answer) -> str:
    step = answer.step
    found = [*groups(step.runs), Group(kind="one step", runs=step.runs)]
    rows = [_row(g.kind, g, step.cycles, f"{len(g.runs)}") for g in found]
    return _table(("kind", "layers", *HEAD), rows, last="all")


def _count(value: float) -> str:
    """A mean of cycles: whole, if it is."""
    return f"{value:,.{0 if value == int(value) else 1}f}"


def _difference(measured: float, estimated: float) -> str:
    """Measured over estimated, with its sign."""
    return f"{'+' if measured > estimated else ''}{_count(measured - estimated)}"


def _agreement(answer: Answer, measured: Measured) -> str:
    """The measurement in a paragraph."""
    step, count = answer.step, len(measured.layers)
    mean, off = measured.total.cycles / measured.calls, measured.differing(step)
    text = (f"Measured on {measured.where}, mean of {measured.calls:,} calls: {_count(mean)} "
            f"cycles per step, {_difference(mean, step.cycles)} ({mean / step.cycles - 1:+.3%}) "
            f"against the estimate; {count - len(off)} of {count} layers take the estimated "
            "cycles exactly")
    if off:
        name, cycles = off[0]
        text += f", the largest difference is {_difference(cycles, 0)} in {name}"
    return (f"{text}. Everything else on this page, but for the black line of the plot, is the "
            "estimate.")


def _in_total(answer: Answer, measured: Measured) -> str:
    """Measured and estimated cycles of a step, one cause a row."""
    pairs = measured.beside(measured.total, answer.step)
    return _table(("cycles per step", "measured", "estimated", "difference", "of all cycles", ""), (
        (name, _count(got), f"{wanted:,}", _difference(got, wanted),
         f"{(got - wanted) / answer.step.cycles:+.3%}", "")
        for name, (got, wanted) in zip(FIGURES, pairs, strict=True)))


def _by_layer(answer: Answer, measured: Measured) -> str:
    """As `_in_total`, one layer a row."""
    step = answer.step
    items: list[tuple[str, Spent, Run | Runs]] = [
        *((run.name, spent, run) for run, spent in zip(step.runs, measured.layers, strict=True)),
        ("one step", measured.total, step)]
    rows = ([name, *(cell for got, wanted in measured.beside(spent, item)
                     for cell in (_count(got), f"{wanted:,}", _difference(got, wanted))), ""]
            for name, spent, item in items)
    above = "".join(f'<th colspan="3">{escape(name)}</th>' for name in FIGURES)
    return _table(("layer", *("measured", "estimated", "difference") * len(FIGURES), ""), rows,
                  last="all", above=f"<tr><th></th>{above}<th></th></tr>")


def _measured(answer: Answer) -> tuple[str, str, str]:
    """Paragraph, table of the totals and table of the layers; all empty without a measurement."""
    measured = answer.measured
    if measured is None:
        return "", "", ""
    return (f"<p><strong>{escape(_agreement(answer, measured))}</strong></p>",
            f"<h2>Measured beside estimated</h2>\n{_in_total(answer, measured)}\n",
            f"<h2>Every layer, measured beside estimated</h2>\n{_by_layer(answer, measured)}\n")


def page(answer: Answer) -> str:
    """The report as HTML: no script, nothing fetched."""
    step, model = answer.step, answer.shapes
    svg = draw(answer, "svg").decode()
    agreement, in_total, by_layer = _measured(answer)
    title = escape(f"{model.name} on {step.config.name}")
    first, *rest = headline(answer)
    bandwidth = "each port its whole width" if step.memory.bandwidth is None else (
        f"{float(step.memory.bandwidth):g} bytes per cycle shared")
    core = (f"Core: {step.config.n} x {step.config.n} cells, {step.config.bus_bytes} bytes a beat; "
            f"memory: {step.memory.latency} cycles of latency, {bandwidth}.")
    paragraphs = "".join(f"<p>{escape(line.strip())}</p>" for line in (*rest, core, NOTE))
    folded = _table(("products that are constants", "MMAC per step", ""), (
        (f.what, f"{f.macs * step.batch / 1e6:,.2f}", "") for f in answer.shapes.folded))
    host = _table(("stage", "int16 values per step", ""), (
        (h.stage, f"{h.elements:,}", "") for h in step.host))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body>\n<h1>{escape(first)}</h1>\n"
        f"{agreement}<p>{escape(model.about)}</p>{paragraphs}\n{svg[svg.index('<svg'):]}\n"
        f"{in_total}<h2>Layers by kind</h2>\n{_kinds(answer)}\n<h2>Folded away</h2>\n{folded}\n"
        "<h2>Still on the host</h2>\n<p>Computed between the layers; not part of the cycles.</p>\n"
        f"{host}\n{by_layer}<h2>Every layer</h2>\n{_layers(answer)}\n</body></html>\n")


def write_report(answer: Answer, path: Path) -> None:
    """Write the page, or its plots as .png or .svg; nothing half-written.

    A device, a pipe and "-", standard output, take the page, unless their name has an ending.

    Raises
    ------
    ModuleNotFoundError: matplotlib is not installed.
    """
    drawn = path.suffix in ENDINGS[1:]
    write_atomically(path, draw(answer, path.suffix[1:]) if drawn else page(answer))
