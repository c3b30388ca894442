"""The gate of bench.estimator, and which layers it takes."""

import pytest

from bench.estimator import Row, distinct, print_table, read_network, summary


def row(measured, estimated, count=1, config="n8"):
    return Row("layer", count, config, 10, measured, estimated, estimated / measured - 1, 0.0)


@pytest.mark.parametrize(("rows", "passed"), [
    ([row(1000, 1000), row(500, 524)], True),           # 4.8 % of a layer, 1.6 % of all
    ([row(10000, 10000), row(500, 526)], False),        # a layer
    ([row(1000, 1025), row(1000, 1024)], False),        # the total
    ([row(1000, 1000), row(1000, 1049, config="n16")], False),      # of one configuration
    ([row(1000, 1000, count=9), row(1000, 1049)], True),
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
