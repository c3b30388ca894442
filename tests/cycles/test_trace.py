"""The timeline: a schema check of the written file, and tiles that are joined."""

import json
import math
from itertools import pairwise

import pytest

from hqdm.cycles.estimate import Span
from hqdm.cycles.question import ask
from hqdm.cycles.trace import merge, trace, write_trace
from hqdm.firmware.catalogue.library import read_model
from hqdm.firmware.catalogue.shapes import in_formats, shapes
from hqdm.spec.config_file import read_config

UNITS = ("load", "weight", "multiply", "store")


@pytest.fixture(scope="module")
def answer():
    model = read_model("cifar10")
    return ask(in_formats(shapes(model), model), read_config("n8"), clock=200.0)


def check_schema(plain):
    """The rules of the trace event format for the events we write."""
    assert set(plain) == {"displayTimeUnit", "traceEvents", "otherData"}
    assert plain["displayTimeUnit"] in ("ms", "ns")
    names = {}
    for event in plain["traceEvents"]:
        assert {"name", "ph", "pid", "tid", "args"} <= set(event)
        assert isinstance(event["name"], str) and event["name"]
        assert all(type(event[k]) is int for k in ("pid", "tid"))
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name", "thread_sort_index")
            if event["name"] == "thread_name":
                names[event["tid"]] = event["args"]["name"]
            continue
        assert event["ph"] == "X" and set(event) == {
            "name", "ph", "pid", "tid", "ts", "dur", "args"}
        assert all(isinstance(event[k], float | int) and math.isfinite(event[k])
                   for k in ("ts", "dur"))
        assert event["ts"] >= 0 and event["dur"] > 0 and event["tid"] in names
    return names


def test_the_file_opens(answer, tmp_path):
    path = tmp_path / "t.json"
    write_trace(answer, path)
    plain = json.loads(path.read_text())
    names = check_schema(plain)
    assert list(names.values()) == ["layers", *UNITS]
    cycle = 1 / answer.clock
    for thread, name in names.items():
        events = [e for e in plain["traceEvents"] if e["ph"] == "X" and e["tid"] == thread]
        assert events, name
        for before, after in pairwise(events):
            assert after["ts"] >= before["ts"] + before["dur"] - cycle / 100
    layers = [e for e in plain["traceEvents"] if e["ph"] == "X" and e["tid"] == 0]
    assert len(layers) == sum(r.runs for r in answer.step.runs)
    end = max(e["ts"] + e["dur"] for e in plain["traceEvents"] if e["ph"] == "X")
    assert end == pytest.approx(answer.step.cycles * cycle)
    assert plain["otherData"]["cycles"] == answer.step.cycles


def test_units_work_within_their_layer(answer):
    events = [e for e in trace(answer)["traceEvents"] if e["ph"] == "X"]
    layer = None
    for event in events:
        if event["tid"] == 0:
            layer = event
            continue
        assert layer is not None and event["args"]["layer"] == layer["name"]
        assert layer["ts"] <= event["ts"]
        assert event["ts"] + event["dur"] <= layer["ts"] + layer["dur"] + 1e-6
        assert event["args"]["busy_cycles"] <= event["dur"] * answer.clock + 1e-6


def test_many_tiles_are_joined(answer):
    few, all_of_them = trace(answer, max_spans=1000), trace(answer, max_spans=10 ** 7)
    assert len(few["traceEvents"]) < 2500 < len(all_of_them["traceEvents"])
    check_schema(few)
    assert few["otherData"]["tiles"].startswith("neighbouring tiles joined")
    assert all_of_them["otherData"]["tiles"] == "every tile"

    def busy(plain):
        return sum(e["args"].get("busy_cycles", 0) for e in plain["traceEvents"])
    assert busy(few) == busy(all_of_them)


def test_merge():
    spans = [Span(unit="load", tile=i, out_word=0, chunk=0, start=10 * i, end=10 * i + 4 + 8 * (
        i == 2)) for i in range(5)]
    assert merge(spans, 9) == [(0, 4, 4, 1), (10, 14, 4, 1), (20, 32, 12, 1), (32, 34, 2, 1),
                               (40, 44, 4, 1)]
    assert merge(spans, 2) == [(0, 32, 20, 3), (32, 44, 6, 2)]
    assert merge(spans, 1) == [(0, 44, 26, 5)] and merge([], 3) == []
