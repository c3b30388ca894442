"""The pictures of `hqdm cycles`: rooflines, cycles lost, bytes moved."""

from io import BytesIO
from types import ModuleType
from typing import Any

from hqdm.cycles.estimate import PORTS
from hqdm.cycles.groups import Group, groups, short, worst
from hqdm.cycles.measured import Measured
from hqdm.cycles.question import Answer
from hqdm.cycles.step import Step
from hqdm.spec.stalls import CAUSES

# Okabe and Ito's colours, told apart with any colour vision; shapes tell the kinds apart too
CAUSE_COLOURS: dict[str, str] = dict(zip(
    CAUSES, ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#999999"), strict=True))
PORT_COLOURS: dict[str, str] = dict(zip(
    PORTS, ("#0072B2", "#E69F00", "#56B4E9", "#009E73"), strict=True))
KIND_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000",
                "#8C6D31", "#7F7F7F", "#882255")
MARKERS = "osD^vPXh<>"
SHOWN = 12


def plotting() -> tuple[ModuleType, ModuleType]:
    """(matplotlib, matplotlib.figure); ModuleNotFoundError if it is not installed."""
    import matplotlib
    import matplotlib.figure
    return matplotlib, matplotlib.figure


def roofline(axes: Any, step: Step) -> None:
    """One panel per port: products per cycle over products per byte of that port."""
    ports: dict[str, tuple[str, ...]] = {"load": ("load",), "weight": ("weight",),
                                         "store": ("store_write",)}
    if step.memory.bandwidth is not None:
        ports["memory"] = PORTS
    n = step.config.n
    kinds = groups(step.runs)
    for axis, (name, members) in zip(axes, ports.items(), strict=True):
        points = [(group.macs / sum(group.dram_bytes[p] for p in members),
                   group.macs / group.cycles) for group in kinds]
        width = step.config.bus_bytes if name != "memory" else float(step.memory.bandwidth or 0)
        low, high = min(x for x, _ in points) / 3, max(x for x, _ in points) * 3
        _roofs(axis, name, width, n, (min(low, n / width / 3), max(2 * high, 3 * n * n / width)))
        for i, (point, group) in enumerate(zip(points, kinds, strict=True)):
            axis.plot(*point, MARKERS[i % len(MARKERS)], color=KIND_COLOURS[i % len(KIND_COLOURS)],
                      markersize=6 + 9 * (group.cycles / step.cycles) ** 0.5,
                      markeredgecolor="white", markeredgewidth=0.6, label=group.kind)
        title = {"memory": "memory, all ports", "store": "store port, written"}
        axis.set_title(title.get(name, f"{name} port"), fontsize=9)
        axis.set_xlabel("MAC per byte", fontsize=8)
        axis.set_ylim(min(n * n / 40, min(y for _, y in points) / 1.6), 3.4 * n * n)


def _roofs(axis: Any, name: str, width: float, n: int, limits: tuple[float, float]) -> None:
    """The array's peak at 4 and 8 bits, and the slope of the port."""
    low, high = limits
    knee = n * n / width
    axis.plot((low, knee, max(high, knee)), (width * low, n * n, n * n), color="black", lw=1.2)
    axis.plot((low, high), (n * n / 4,) * 2, color="black", lw=0.8, ls=":")
    for peak, text in ((n * n, "array, 4 x 4 bits"), (n * n / 4, "array, 8 x 8 bits")):
        axis.text(high, peak * 1.2, f"{text} ", fontsize=6.5, ha="right", va="bottom")
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlim(low, high)
    text = f"slope: {width:g} bytes per cycle"
    if name == "store":
        axis.plot((low, high), (width / 2 * low, width / 2 * high), color="black", lw=0.8, ls="--")
        text += "\ndashed: store unit, half of it"
    axis.text(0.03, 0.97, text, fontsize=6.5, ha="left", va="top", transform=axis.transAxes,
              bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5})


def lost(axis: Any, step: Step, measured: Measured | None = None) -> None:
    """Share of each layer's time in which the array waits, by cause, and over all causes as
    measured; its width is its time."""
    edges = [0.0]
    for run in step.runs:
        edges.append(edges[-1] + run.cycles / 1e6)
    base = [0.0] * len(step.runs)
    for cause in CAUSES:
        tops = [low + 100 * run.stalls.by_cause[cause] / run.cycles
                for low, run in zip(base, step.runs, strict=True)]
        axis.stairs(tops, edges, baseline=base, fill=True, color=CAUSE_COLOURS[cause],
                    label=cause)
        base = tops
    if measured is not None:
        axis.stairs([100 * spent.stalls.total / max(1, spent.cycles) for spent in measured.layers],
                    edges, color="black", lw=0.8, label="measured")
    axis.set_xlim(0, edges[-1])
    axis.set_ylim(0, min(100, 1.25 * max(base)) or 1)
    axis.set_xlabel("million cycles since the start of the step; a bar's width is its layer's time",
                    fontsize=8)
    axis.set_ylabel("array waits, % of the layer", fontsize=8)
    axis.legend(fontsize=7, ncols=len(CAUSES) + 1, loc="upper right", title="waiting for",
                title_fontsize=7)
    _parts(axis, step, edges)


def _parts(axis: Any, step: Step, edges: list[float]) -> None:
    """Where the parts of the network begin, named where there is room."""
    starts: dict[str, float] = {}
    for run, start in zip(step.runs, edges, strict=False):
        part = ".".join(run.name.split(".")[:2]) if "_blocks." in run.name else "mid" if (
            run.name.startswith("mid_block")) else run.name
        starts.setdefault(part, start)
    ends = [*list(starts.values())[1:], edges[-1]]
    for (part, start), end in zip(starts.items(), ends, strict=True):
        axis.axvline(start, color="black", lw=0.5, alpha=0.5)
        if end - start > 0.045 * edges[-1]:
            axis.text((start + end) / 2, 1.01, short(part), fontsize=7, ha="center", va="bottom",
                      transform=axis.get_xaxis_transform())


def worst_layers(axis: Any, runs: tuple[Group, ...]) -> None:
    """The layers that lose most, in cycles by cause."""
    names = [g.kind if len(g.runs) == 1 else f"{len(g.runs)} like {g.kind}" for g in runs]
    base = [0.0] * len(runs)
    for cause in CAUSES:
        values = [run.stalls.by_cause[cause] / 1e3 for run in runs]
        axis.barh(range(len(runs)), values, left=base, color=CAUSE_COLOURS[cause], label=cause)
        base = [a + b for a, b in zip(base, values, strict=True)]
    axis.set_yticks(range(len(runs)), names, fontsize=7)
    axis.invert_yaxis()
    axis.set_xlabel("thousand cycles lost", fontsize=8)
    axis.set_title("layers that lose most", fontsize=9)


def traffic(axis: Any, kinds: tuple[Group, ...]) -> None:
    """Bytes over the bus by kind and port."""
    base = [0.0] * len(kinds)
    for port in PORTS:
        values = [group.dram_bytes[port] / 1e6 for group in kinds]
        axis.barh(range(len(kinds)), values, left=base, color=PORT_COLOURS[port],
                  label=port.replace("_", ", "))
        base = [a + b for a, b in zip(base, values, strict=True)]
    axis.set_yticks(range(len(kinds)), [group.kind for group in kinds], fontsize=7)
    axis.invert_yaxis()
    axis.set_xlabel("megabytes per step", fontsize=8)
    axis.set_title("bytes over the bus", fontsize=9)
    axis.legend(fontsize=7, loc="lower right")


def figure(answer: Answer) -> Any:
    """All plots on one page."""
    step = answer.step
    _, figures = plotting()
    page = figures.Figure(figsize=(11, 12.5), dpi=110, layout="constrained")
    top, middle, bottom = page.subfigures(3, 1, height_ratios=(4.3, 3.6, 4))
    count = 3 if step.memory.bandwidth is None else 4
    axes = top.subplots(1, count, sharey=True)
    roofline(axes, step)
    axes[0].set_ylabel("MAC per cycle", fontsize=8)
    top.suptitle("roofline: a mark is all layers of a kind, its size their share of the time",
                 fontsize=10)
    handles, labels = axes[0].get_legend_handles_labels()
    top.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=7.5,
               markerscale=0.7)
    wide = middle.subplots()
    middle.suptitle("cycles lost, layer by layer", fontsize=10)
    lost(wide, step, answer.measured)
    left, right = bottom.subplots(1, 2)
    worst_layers(left, worst(step.runs, SHOWN))
    traffic(right, groups(step.runs))
    for axis in (*axes, wide, left, right):
        axis.tick_params(labelsize=7)
        axis.grid(alpha=0.25, linewidth=0.5)
        axis.set_axisbelow(True)
    return page


def draw(answer: Answer, kind: str) -> bytes:
    """The page as "png" or "svg"; the same bytes for the same answer."""
    matplotlib, _ = plotting()
    buffer = BytesIO()
    metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
    with matplotlib.rc_context({"svg.hashsalt": "hqdm"}):
        figure(answer).savefig(buffer, format=kind, metadata=metadata)
    return buffer.getvalue()
