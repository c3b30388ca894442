"""Altered files of every format: taken, or refused in one line; nothing else, and nothing left."""

import time
from itertools import count as numbers

import pytest

from tests.fuzz.targets import TARGETS, count

EXAMPLES = {"integers": 12, "quantised": 6, "model": 10}     # and others, which are quicker
HOUR_OF = 500           # altered files of a round of the long run


@pytest.mark.parametrize("name", TARGETS)
def test_altered_files(name):
    found = count(name, EXAMPLES.get(name, 60), 1)
    assert sum(found.values()) > 0 and set(found) <= {"taken", "refused"}
    assert found.get("refused", 0) > 0


@pytest.mark.slow
def test_altered_files_for_long(request):
    """Every format in turn, with other seeds, until the time is over."""
    end = time.monotonic() + request.config.getoption("--fuzz-seconds")
    for number in numbers(2):
        for name in TARGETS:
            found = count(name, HOUR_OF, number)
            print(f"seed {number}: {name}: {found}")
            if time.monotonic() > end:
                return
