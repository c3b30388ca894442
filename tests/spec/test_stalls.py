"""Stalls: the causes are the device's counters, and they add up."""

import pytest

from hqdm.spec.registers import COUNTERS
from hqdm.spec.stalls import CAUSES, STALL_COUNTERS, Spent, Stalls

NAMES = [name for name, _ in COUNTERS]
COUNTED = {name: 1 << place for place, name in enumerate(NAMES)}


def test_the_causes_are_the_counters_between_busy_and_the_beats():
    assert CAUSES == ("load", "weight", "store", "memory", "setup")
    wanted = NAMES[NAMES.index("busy") + 1:NAMES.index("load_beats")]
    assert list(STALL_COUNTERS) == list(CAUSES) and list(STALL_COUNTERS.values()) == wanted


def test_made_from_counters():
    spent = Spent.counted(COUNTED)
    assert (spent.cycles, spent.busy) == (COUNTED["cycles"], COUNTED["busy"])
    assert spent.stalls == Stalls(
        load=COUNTED["wait_load"], weight=COUNTED["wait_weight"], store=COUNTED["wait_store"],
        memory=COUNTED["wait_memory"], setup=COUNTED["setup"])
    with pytest.raises(KeyError, match="wait_memory"):
        Stalls.counted({n: 0 for n in NAMES if n != "wait_memory"})


def test_sums_and_multiples():
    one, two = Stalls(load=1, weight=2, store=3, memory=4, setup=5), Stalls(memory=10)
    assert one + two == Stalls(load=1, weight=2, store=3, memory=14, setup=5)
    assert one * 3 == one + one + one and one * 3 - one == one * 2 and one - one == Stalls()
    assert one.total == 15 and sum([one, two, two], Stalls()).total == 35
    assert one.by_cause == dict(zip(CAUSES, range(1, 6), strict=True))
    spent = Spent(cycles=20, busy=5, stalls=one)
    assert sum([spent, spent], Spent()) == Spent(cycles=40, busy=10, stalls=one * 2)
