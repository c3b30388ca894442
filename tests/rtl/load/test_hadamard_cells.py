"""The Hadamard is made of adders: no multiplier after Yosys, and as many adders as butterflies."""

import pytest

from bench.hadamard_adders import cells, expected_adders, forward, inverse
from hqdm.spec.config import config_by_name
from hqdm.spec.stages import TIME_STAGES


@pytest.mark.parametrize("build", [forward, inverse])
@pytest.mark.parametrize("name", ["n4", "n16"])
def test_no_multiplier(name, build):
    config = config_by_name(name)
    butterfly, control = cells(build(config))
    assert (butterfly + control)["$mul"] == 0
    assert butterfly["$add"] + butterfly["$sub"] == expected_adders(config.lanes, TIME_STAGES)
