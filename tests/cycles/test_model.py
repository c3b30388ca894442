"""The cycle model by itself; sim/tests/test_estimator.py compares it with the RTL."""

import random
from dataclasses import replace

import pytest

from hqdm.cycles.estimate import PORTS, UNITS
from hqdm.cycles.model import MemoryTiming, estimate
from hqdm.cycles.tiling import candidates, plan
from hqdm.golden.random import random_layer
from hqdm.sim.compare_layer import make_layer
from hqdm.spec import config_by_name
from hqdm.spec.stalls import CAUSES

LARGE = make_layer(op="conv3x3", channels=(64,), out_channels=64, height=32, width=32,
                   axis="width")
SMALL = make_layer(op="conv1x1", channels=(64, 32), out_channels=48, height=8, width=8,
                   act_bits=8, weight_bits=8, residual="add")
N16 = config_by_name("n16")


def draws(count, name, seed=0, max_macs=300_000):
    """Random layers with any plan that fits."""
    rng, config = random.Random(f"{name} {seed}"), config_by_name(name)
    while count:
        layer = random_layer(rng, config, max_macs)
        plans = list(candidates(layer, config))
        if plans:
            count -= 1
            yield layer, config, rng.choice(plans), rng.choice((1, 10, 40, 100, 300))


@pytest.mark.parametrize("name", ["n4", "n16"])
def test_what_is_skipped_would_have_taken_as_long(name):
    """With a timeline nothing is skipped between tiles and output words."""
    for layer, config, tiles, latency in draws(40, name):
        memory = MemoryTiming(latency=latency)
        quick = estimate(layer, config, tiles, memory)
        whole = estimate(layer, config, tiles, memory, timeline=True)
        assert abs(quick.cycles - whole.cycles) <= max(2, 0.001 * whole.cycles)
        assert quick.beats == whole.beats


@pytest.mark.parametrize("name", ["n4", "n8", "n32"])
def test_every_cycle_has_a_cause(name):
    for layer, config, tiles, latency in draws(30, name, seed=1):
        found = estimate(layer, config, tiles, MemoryTiming(latency=latency))
        assert set(found.stalls.by_cause) == set(CAUSES)
        assert min(found.stalls.by_cause.values()) >= 0
        assert found.busy + found.stalls.total == found.cycles
        assert set(found.beats) == set(PORTS) and min(found.beats.values()) > 0


def check_span(span, found):
    assert span.unit in UNITS
    assert 0 <= span.start < span.end <= found.cycles
    assert 0 <= span.tile < -(-found.layer.out_height // found.tiles.tile_rows)
    assert -1 <= span.chunk < found.tiles.chunks


@pytest.mark.parametrize("layer", [LARGE, SMALL], ids=["resident", "chunks"])
def test_timeline(layer):
    tiles = next(t for t in candidates(layer, N16) if (t.chunks > 1) == (layer is SMALL))
    found = estimate(layer, N16, tiles, timeline=True)
    assert found.timeline and not estimate(layer, N16, tiles).timeline
    assert list(found.timeline) == sorted(found.timeline, key=lambda s: (s.start, s.end, s.unit))
    for span in found.timeline:
        check_span(span, found)
    spans = {unit: [s for s in found.timeline if s.unit == unit] for unit in UNITS}
    words, rows = N16.words(layer.multiply.out_channels), -(-layer.out_height // tiles.tile_rows)
    assert len(spans["store"]) == words * rows
    assert len(spans["multiply"]) == len(spans["weight"]) == words * rows * tiles.chunks
    assert len(spans["load"]) == rows * (1 if tiles.chunks == 1 else words * tiles.chunks)
    for unit in ("multiply", "store"):      # one at a time
        assert all(a.end <= b.start for a, b in zip(spans[unit], spans[unit][1:], strict=False))
    assert sum(s.end - s.start for s in spans["multiply"]) >= found.busy


def test_slower_memory_is_slower():
    cycles = [estimate(SMALL, N16, memory=MemoryTiming(latency=n)).cycles for n in (1, 10, 100)]
    assert cycles == sorted(set(cycles))


def test_bandwidth():
    free = estimate(SMALL, N16)
    assert estimate(SMALL, N16, memory=MemoryTiming(bandwidth=4 * N16.bus_bytes)).cycles == (
        free.cycles)
    for bandwidth in (4, 8):
        tight = estimate(SMALL, N16, memory=MemoryTiming(bandwidth=bandwidth))
        assert tight.cycles >= sum(tight.dram_bytes.values()) / bandwidth
        assert tight.cycles > free.cycles
        assert tight.busy + tight.stalls.total == tight.cycles


def test_default_plan_and_names():
    tiles = plan(LARGE, N16)
    found = estimate(replace(LARGE, name="other"), N16)
    assert found.tiles == tiles == plan(replace(LARGE, name="third"), N16)
    assert found.cycles == tiles.cycles     # the planner's memory is the default one
    assert found.layer.name == "other"
    assert found.ideal_cycles == LARGE.macs / 256
    assert found.utilization == found.ideal_cycles / found.cycles > 0.98


@pytest.mark.parametrize(("options", "message"), [
    ({"latency": 0}, "memory latency: wanted at least 1 cycle, got 0"),
    ({"bandwidth": 0}, "memory bandwidth: wanted more than 0 bytes per cycle, got 0")])
def test_bad_memory(options, message):
    with pytest.raises(ValueError, match=message):
        MemoryTiming(**options)


def test_layer_that_does_not_fit():
    wide = make_layer(op="conv3x3", channels=(3,), out_channels=4, height=8, width=5000)
    with pytest.raises(ValueError, match="does not fit n16"):
        estimate(wide, N16)
