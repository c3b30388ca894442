"""The errors by which the cycle model is judged: of either sign, of every cause."""

import pytest

from hqdm.cycles.model import estimate
from hqdm.sim.compare_layer import make_layer
from hqdm.sim.measure import error, stall_error
from hqdm.spec import config_by_name
from hqdm.spec.stalls import CAUSES, STALL_COUNTERS

FOUND = estimate(make_layer(op="conv1x1", channels=(8,), out_channels=4, height=2, width=2),
                 config_by_name("n4"))


def measured(cycles=0, **off):
    """Counters of a core that agrees but for `off`, by cause."""
    return {"cycles": FOUND.cycles + cycles} | {
        STALL_COUNTERS[cause]: found + off.get(cause, 0)
        for cause, found in FOUND.stalls.by_cause.items()}


def test_agreement():
    assert error(FOUND, measured()) == stall_error(FOUND, measured()) == 0


@pytest.mark.parametrize("off", [-7, 7])
@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_that_is_estimated_too_large_or_too_small(cause, off):
    other = next(c for c in CAUSES if c != cause)
    for counters in (measured(**{cause: off}), measured(**{cause: off, other: -off // 2})):
        assert stall_error(FOUND, counters) == 7 / FOUND.cycles
        assert error(FOUND, counters) == 0


@pytest.mark.parametrize("off", [-5, 5])
def test_the_error_of_the_cycles_has_a_sign(off):
    assert error(FOUND, measured(off)) == pytest.approx(-off / (FOUND.cycles + off))
