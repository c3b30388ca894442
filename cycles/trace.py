"""A step as a timeline in the trace event format, for ui.perfetto.dev or chrome://tracing."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from hqdm.cycles.estimate import UNITS, Span
from hqdm.cycles.model import estimate
from hqdm.cycles.question import Answer
from hqdm.cycles.step import Step
from hqdm.kit.files import write_atomically
from hqdm.spec.layer import Layer

MAX_SPANS = 60_000      # of the units; Perfetto opens this at once
PROCESS = 1
LAYERS = 0              # thread of the layers; the units follow in the order of UNITS
Event = dict[str, Any]


def merge(spans: Sequence[Span], count: int) -> list[tuple[int, int, int, int]]:
    """At most `count` (start, end, busy, spans) of one unit, in order and without overlap.

    Neighbours are joined in groups of the same size; `busy` counts the cycles at work.
    """
    group = max(1, -(-len(spans) // max(1, count)))
    found, free = [], 0
    for first in range(0, len(spans), group):
        members = spans[first:first + group]
        begin, busy = max(free, members[0].start), 0
        for span in members:
            busy += max(0, span.end - max(free, span.start))
            free = max(free, span.end)
        if busy:
            found.append((begin, free, busy, len(members)))
    return found


def _events(step: Step, clock: float, budget: int) -> Iterator[Event]:
    """Complete events in microseconds, layer by layer."""
    def event(thread: int, name: str, start: int, end: int, **arguments: Any) -> Event:
        return {"name": name, "ph": "X", "pid": PROCESS, "tid": thread, "ts": start / clock,
                "dur": (end - start) / clock, "args": arguments}

    @cache
    def timeline(layer: Layer) -> dict[str, list[tuple[int, int, int, int]]]:
        found = estimate(layer, step.config, None, step.memory, timeline=True).timeline
        return {unit: merge([s for s in found if s.unit == unit], budget) for unit in UNITS}

    now = 0
    for run in step.runs:
        spans = timeline(replace(run.layer, name=""))
        for index in range(run.runs):
            end = now + run.estimate.cycles
            yield event(LAYERS, run.name, now, end, kind=run.kind, run=index, of=run.runs,
                        cycles=run.estimate.cycles, macs=run.macs // run.runs, bound=run.bound,
                        stalls=run.estimate.stalls.by_cause)
            for thread, unit in enumerate(UNITS, LAYERS + 1):
                for start, stop, busy, joined in spans[unit]:
                    yield event(thread, unit, now + start, now + stop, busy_cycles=busy,
                                spans=joined, layer=run.name)
            now = end


def _names(step: Step) -> Iterator[Event]:
    """Metadata: names of the process and of its threads, in order."""
    yield {"name": "process_name", "ph": "M", "pid": PROCESS, "tid": 0, "args": {
        "name": f"{step.network.name} on {step.config.name}, one step, batch {step.batch}"}}
    for thread, name in enumerate(("layers", *UNITS)):
        yield {"name": "thread_name", "ph": "M", "pid": PROCESS, "tid": thread,
               "args": {"name": name}}
        yield {"name": "thread_sort_index", "ph": "M", "pid": PROCESS, "tid": thread,
               "args": {"sort_index": thread}}


def trace(answer: Answer, max_spans: int = MAX_SPANS) -> dict[str, Any]:
    """The timeline of one step at the answer's clock.

    Parameters
    ----------
    max_spans: of all units together, about; beyond it neighbouring tiles are joined into one
        event, whose arguments say how many tiles and how many cycles of work it holds.
    """
    step = answer.step
    repeats = sum(run.runs for run in step.runs)
    budget = max(1, max_spans // (repeats * len(UNITS)))
    events = [*_names(step), *_events(step, answer.clock, budget)]
    joined = any(e.get("args", {}).get("spans", 1) > 1 for e in events)
    return {
        "displayTimeUnit": "ns", "traceEvents": events,
        "otherData": {
            "model": answer.shapes.name, "config": step.config.name, "clock_mhz": answer.clock,
            "cycles": step.cycles, "tiles": (
                f"neighbouring tiles joined, at most {budget} events per unit and layer"
                if joined else "every tile")}}


def write_trace(answer: Answer, path: Path) -> None:
    """Write the timeline as JSON; nothing half-written."""
    write_atomically(path, json.dumps(trace(answer), separators=(",", ":")))
