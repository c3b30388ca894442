"""The cycle model against the counters of the RTL: the same number of cycles, cause by cause.

`python -m bench.estimator` does this for every layer of a network, or for many random ones.
"""

import random
from dataclasses import replace
from itertools import islice

import pytest

from bench.estimator import random_plans
from hqdm.cycles.model import MemoryTiming, estimate
from hqdm.cycles.tiling import candidates
from hqdm.sim.compare_layer import make_layer
from hqdm.sim.measure import counters, error, stall_error
from hqdm.sim.runtime.device import MemoryModel
from hqdm.spec import Store, StoreStages, config_by_name

LATENCIES = (10, 100)
STALL_GATE = 0.05       # of all cycles; the model spreads late beats evenly
BANDWIDTH_GATE = 0.1
RANDOM = 24
LAYERS = {
    "3x3, width": {"op": "conv3x3", "channels": (32,), "out_channels": 32, "height": 8,
                   "width": 8, "axis": "width"},
    "3x3, residual": {"op": "conv3x3", "channels": (16,), "out_channels": 32, "height": 8,
                      "width": 8, "axis": "channel", "residual": "add"},
    "3x3, two sources": {"op": "conv3x3", "channels": (32, 16), "out_channels": 16, "height": 4,
                         "width": 4, "axis": "width"},
    "3x3, down": {"op": "conv3x3", "channels": (16,), "out_channels": 16, "height": 16,
                  "width": 16, "stride": 2, "act_bits": 8, "weight_bits": 8},
    "3x3, up": {"op": "conv3x3", "channels": (16,), "out_channels": 16, "height": 4, "width": 8,
                "upsample": 2, "axis": "width"},
    "1x1, 8 bits": {"op": "conv1x1", "channels": (32, 32), "out_channels": 32, "height": 4,
                    "width": 4, "act_bits": 8, "weight_bits": 8},
    "linear": {"op": "linear", "channels": (64,), "out_channels": 128, "height": 64, "width": 1,
               "axis": "channel"},
    "linear, few rows": {"op": "linear", "channels": (128,), "out_channels": 64, "height": 2,
                         "width": 1, "weight_bits": 3, "residual": "subtract"},
    "scores": {"op": "linear", "channels": (32,), "out_channels": 64, "height": 64, "width": 1,
               "act_bits": 8, "weight_bits": 8},
    "mix": {"op": "linear", "channels": (64,), "out_channels": 32, "height": 64, "width": 1,
            "act_bits": 8, "weight_bits": 8},
}


# On n4: layer, tile rows and chunk words, latency. What few layers depend on: a chunk that is all
# in the pipeline, short passes, parameters and second operands that a slow memory brings late.
CORNERS = {
    "short chunks": ({"op": "linear", "channels": (7,), "out_channels": 4, "height": 5,
                      "width": 1, "act_bits": 3}, (2, 2), 10),
    "short passes": ({"op": "conv1x1", "channels": (12,), "out_channels": 4, "height": 6,
                      "width": 2, "act_bits": 8}, (1, 1), 1),
    "short banks": ({"op": "linear", "channels": (8,), "out_channels": 19, "height": 21,
                     "width": 1, "act_bits": 2, "residual": "subtract"}, (1, 2), 1),
    "late parameters": ({"op": "linear", "channels": (3,), "out_channels": 24, "height": 4,
                         "width": 1}, (2, 1), 120),
    "late second operands": ({"op": "linear", "channels": (3,), "out_channels": 8, "height": 22,
                              "width": 1, "residual": "add"}, (11, 1), 120),
    "late requests": ({"op": "linear", "channels": (4,), "out_channels": 40, "height": 4,
                       "width": 1, "act_bits": 8, "residual": "add"}, (4, 1), 120),
}


def corner(label):
    """Layer, tile plan and latency of one of `CORNERS`, on n4."""
    options, cut, latency = CORNERS[label]
    layer, config = make_layer(**options), config_by_name("n4")
    tiles, = (t for t in candidates(layer, config) if (t.tile_rows, t.chunk_words) == cut)
    return layer, tiles, latency


def make(label):
    layer = make_layer(**LAYERS[label])
    scaled = Store(stages=StoreStages(row_scale=True))
    return replace(layer, store=scaled) if label == "mix" else layer


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("name", ["n4", "n8"])
@pytest.mark.parametrize("label", LAYERS)
def test_same_cycles_as_the_rtl(name, label, latency):
    layer, config = make(label), config_by_name(name)
    found = estimate(layer, config, memory=MemoryTiming(latency=latency))
    measured = counters(layer, config, MemoryModel(latency=latency))
    assert (found.cycles, found.busy) == (measured["cycles"], measured["busy"])
    assert found.beats == {port: measured[f"{port}_beats"] for port in found.beats}
    assert stall_error(found, measured) <= STALL_GATE


@pytest.mark.parametrize("label", CORNERS)
def test_corners(label):
    layer, tiles, latency = corner(label)
    config = config_by_name("n4")
    found = estimate(layer, config, tiles, MemoryTiming(latency=latency))
    measured = counters(layer, config, MemoryModel(latency=latency), tiles)
    assert (found.cycles, found.busy) == (measured["cycles"], measured["busy"])


def test_bursts_as_short_as_the_time_between_them():
    """Chunks of one word out of several: two beats a burst, and no FIFO ever fills."""
    layer = make_layer(op="conv1x1", channels=(26,), out_channels=10, height=11, width=13,
                       act_bits=8)
    config = config_by_name("n8")
    plans = [plan for plan in candidates(layer, config) if plan.chunk_words == 1]
    assert len(plans) > 3
    for tiles in plans:
        found = estimate(layer, config, tiles, MemoryTiming(latency=10))
        assert found.cycles == counters(layer, config, MemoryModel(latency=10), tiles)["cycles"]


@pytest.mark.parametrize("name", ["n4", "n8"])
def test_random_layers_and_plans(name):
    """Any plan of any layer, at any latency: the total within 0.1 %, nearly all exact."""
    config, rng, errors, total = config_by_name(name), random.Random(11), [], [0, 0]
    for layer, tiles in islice(random_plans(rng, config), RANDOM):
        latency = rng.choice((1, 10, 40, 100))
        found = estimate(layer, config, tiles, MemoryTiming(latency=latency))
        measured = counters(layer, config, MemoryModel(latency=latency), tiles)
        errors.append(error(found, measured))
        total = [total[0] + found.cycles, total[1] + measured["cycles"]]
    print(name, errors)
    assert max(map(abs, errors)) <= 0.01
    assert sum(e == 0 for e in errors) >= 0.9 * RANDOM
    assert abs(total[0] / total[1] - 1) <= 0.001


@pytest.mark.parametrize("label", ["3x3, width", "linear"])
def test_shared_bandwidth(label):
    """One beat per cycle for all ports together: nearer than a tenth."""
    layer, config = make(label), config_by_name("n8")
    found = estimate(layer, config, memory=MemoryTiming(latency=40, bandwidth=config.bus_bytes))
    measured = counters(layer, config, MemoryModel(latency=40, bandwidth=config.bus_bytes))
    assert abs(error(found, measured)) <= BANDWIDTH_GATE
