"""Layers with the other kinds of cells on the Verilated core: the same sums in the same cycles."""

from dataclasses import replace

import pytest

from hqdm.sim.compare_layer import compare_layer
from hqdm.sim.tests.test_core import LAYERS
from hqdm.spec import PRESETS

CONFIG = PRESETS["n4"]
KINDS = {"booth": {"cell": "booth"}, "both": {"booth_rows": 2}}


@pytest.mark.parametrize("kind", KINDS)
def test_layers(kind):
    assert CONFIG.row_cells == ("packed",) * CONFIG.n
    for name, layer in LAYERS.items():
        packed = compare_layer(layer, CONFIG)
        found = compare_layer(layer, replace(CONFIG, **KINDS[kind]))
        assert (found["mismatches"], packed["mismatches"]) == (0, 0), name
        assert (found["cycles"], found["stalls"]) == (packed["cycles"], packed["stalls"]), name
