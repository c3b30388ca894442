"""Options of long tests: how many random layers per configuration, how long altered files."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")   # of torch: one test per core, threads would wait

RANDOM_LAYERS = 8       # per configuration in every run


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hqdm")
    group.addoption("--random-layers", type=int, default=RANDOM_LAYERS, metavar="N",
                    help=f"random layers per configuration (default {RANDOM_LAYERS})")
    group.addoption("--random-seed", type=int, default=0, metavar="S",
                    help="first seed of the random layers (default 0)")
    group.addoption("--fuzz-seconds", type=float, default=3600.0, metavar="S",
                    help="time for altered files of every format, with -m slow (default 3600)")
