"""Networks as plain data, and what comes back."""

import json
from dataclasses import asdict

import pytest

from hqdm.spec import (
    Layer,
    Load,
    LoadStages,
    Multiply,
    Network,
    Node,
    Store,
    StoreStages,
    Table,
    TensorSpec,
)
from hqdm.spec.plain import from_plain, to_plain

NODES = (
    Node(output="a", sources=("x",), layer=Layer(
        name="a", load=Load(channels=(4,), height=4, width=4, axis="channel", order=2),
        multiply=Multiply(op="conv3x3", out_channels=8, padding=1),
        store=Store(stages=StoreStages(
            gate=Table(function="gelu", in_exponent=-8, out_exponent=-9), classes=3,
            statistics=("channel", "row"))))),
    Node(output="b", sources=("a", "x"), second="x", layer=Layer(
        name="b", load=Load(channels=(4, 4), height=4, width=4, stages=LoadStages(
            channel="static", table=Table(function="silu", in_exponent=-9, out_exponent=-9))),
        multiply=Multiply(op="conv1x1", out_channels=4, bits=8), store=Store(residual="add"))),
)
NETWORK = Network(
    name="n", nodes=NODES, input="x", output="b", timesteps=1, classes=3, tensors=tuple(
        TensorSpec(name=n, channels=4, height=4, width=4) for n in "xab"))


@pytest.mark.parametrize("encode", [to_plain, asdict])
def test_there_and_back(encode):
    assert from_plain(Network, json.loads(json.dumps(encode(NETWORK)))) == NETWORK


def test_defaults_are_left_out():
    plain = to_plain(NETWORK)
    assert plain["nodes"][1]["layer"]["multiply"] == {
        "op": "conv1x1", "out_channels": 4, "bits": 8}
    assert "host" not in plain and "weights" not in plain["nodes"][0]


def test_what_comes_back_is_checked():
    plain = to_plain(NETWORK)
    plain["nodes"][0]["layer"]["load"]["order"] = 9
    with pytest.raises(ValueError, match=r"order: wanted 0\.\.2 along channel of length 4, got 9"):
        from_plain(Network, plain)
