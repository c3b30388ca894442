"""The Verilog under a simulator of events with unknown values, in two editions of the language.

Verilator computes constant processes and initial values at time 0 whatever the standard says, and
knows no unknown values: what is right there may be unknown for ever elsewhere.
"""

import os

import pytest

from hqdm.sim.runner import icarus, icarus_found, run_core
from hqdm.spec.config import PRESETS

# A convolution, and one of 8 bits with a residual.
LAYERS = "small,small 8 bits"


def test_icarus_is_installed_where_it_must_be():
    assert icarus_found() or not os.environ.get("CI")


@pytest.mark.skipif(not icarus_found(), reason="Icarus Verilog (iverilog) is not installed")
@pytest.mark.parametrize("edition", ["2005", "2012"])
@pytest.mark.parametrize("name", ["n4", pytest.param("n8", marks=pytest.mark.slow)])
def test_layers_in_every_edition(name, edition):
    run_core(PRESETS[name], "hqdm.sim.tests.test_core", testcase="layers", seed=3,
             simulator=icarus(edition), parameters={
                 "PAUSE": "0.0", "SEED": "3", "CONFIG": name, "LAYERS": LAYERS})
