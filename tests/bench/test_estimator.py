"""The gate of bench.estimator, and which layers it takes."""

import random
from argparse import ArgumentTypeError
from fractions import Fraction
from itertools import islice

import pytest

from bench.estimator import (
    Row,
    distinct,
    main,
    positive,
    print_table,
    random_plans,
    read_network,
    summary,
)
from hqdm.cycles.tiling import candidates
from hqdm.spec import config_by_name


def row(measured, estimated, count=1, config="n8", bandwidth=None):
    return Row("layer", count, config, 10, measured, estimated, estimated / measured - 1, 0.0,
               bandwidth)


@pytest.mark.parametrize(("rows", "passed"), [
    ([row(1000, 1000), row(500, 524)], True),           # 4.8 % of a layer, 1.6 % of all
    ([row(10000, 10000), row(500, 526)], False),        # a layer
    ([row(1000, 1025), row(1000, 1024)], False),        # the total
    ([row(1000, 1000), row(1000, 1049, config="n16")], False),      # of one configuration
    ([row(1000, 1000, count=9), row(1000, 1049)], True),
    ([row(10000, 10000, bandwidth=0.6), row(500, 526, bandwidth=0.6)], True),
    ([row(1000, 1000), row(1000, 1025, bandwidth=0.6)], False),
])
def test_gate(rows, passed, capsys):
    assert summary(rows)["passed"] is passed
    print_table(rows)
    assert capsys.readouterr().out.count("| layer |") >= len(rows)


def test_every_device_layer_is_taken():
    layers = distinct(read_network("cifar10"))
    assert sum(count for _, count in layers.values()) == 135
    names = [name for name, _ in layers.values()]
    assert names[0] == "conv_in" and len(set(names)) == len(names)
    assert any(layer.store.stages.row_scale for layer in layers)


def test_random_plans_repeat_with_their_seed_and_are_not_all_the_best():
    config = config_by_name("n8")
    drawn = [list(islice(random_plans(random.Random(3), config), 20)) for _ in range(2)]
    assert drawn[0] == drawn[1]
    cuts = [(tiles, list(candidates(layer, config))) for layer, tiles in drawn[0]]
    assert all(tiles in possible for tiles, possible in cuts)
    assert 1 < sum(tiles == min(possible, key=lambda p: p.cycles) for tiles, possible in cuts) < 20


def test_bandwidth():
    assert positive("3/5") == Fraction(3, 5) and positive("1.5") == Fraction(3, 2)
    for text in ("0", "-1", "1/0", "fast"):
        with pytest.raises(ArgumentTypeError, match="above 0, got"):
            positive(text)


@pytest.mark.parametrize(("arguments", "wanted"), [
    (["--random", "0"], "at least 1 layer, got 0"),
    (["--config", "n5"], "n5"),
    (["--memory-latency", "0"], "latency: wanted 1"),
    (["--bandwidth", "-1"], "above 0, got '-1'"),
])
def test_bad_arguments_are_one_line(arguments, wanted, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["estimator", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert wanted in capsys.readouterr().err.splitlines()[-1]
