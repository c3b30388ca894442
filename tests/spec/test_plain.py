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
from hqdm.spec.plain import from_plain, parse_object, to_plain

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


def test_types_are_those_of_the_fields():
    def changed(value, *path):
        plain = to_plain(NETWORK)
        at = plain
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
        return plain

    load = ("nodes", 0, "layer", "load")
    for value, path, text in [
            (None, ("name",), "file: name: wanted a text, got None"),
            (True, ("timesteps",), "file: timesteps: wanted an integer, got True"),
            (1.0, (*load, "height"), r"file: nodes\[0\].layer.load.height: wanted an integer"),
            ("4", (*load, "channels"), "load.channels: wanted a list, got '4'"),
            ([4.5], (*load, "channels"), r"load.channels\[0\]: wanted an integer, got 4.5"),
            (10 ** 30, (*load, "width"), "load.width: wanted an integer, got 10000"),
            (3, (*load, "axis"), "load.axis: wanted one of none, channel, width, got 3"),
            (["a"], ("nodes", 1, "second"), r"nodes\[1\].second: wanted a text, got \['a'\]"),
            (1, (*load, "more"), "load.'more': wanted one of channels, height"),
            ([], (*load[:3], "store"), "layer.store: wanted an object of residual, stages, got "),
            ]:
        with pytest.raises(ValueError, match=text):
            from_plain(Network, changed(value, *path), "file: ")
    plain = to_plain(NETWORK)
    del plain["nodes"][0]["output"]
    with pytest.raises(ValueError, match=r"^nodes\[0\].output: wanted .* none of that name$"):
        from_plain(Network, plain)


def test_a_tensor_nobody_declared():
    plain = to_plain(NETWORK)
    plain["tensors"] = [t for t in plain["tensors"] if t["name"] != "x"]
    with pytest.raises(ValueError, match="wanted a tensor that is already written, got 'x'"):
        from_plain(Network, plain)


@pytest.mark.parametrize(("text", "message"), [
    ("[" * 100_000, "x: wanted JSON, got brackets nested too deeply"),
    ("[1]", r"x: wanted a JSON object, got \[1\]"),
    ('{"a": NaN}', "x: wanted JSON, got NaN, which is no number of JSON"),
    ('{"a": 1e999}', "x: wanted JSON, got 1e999, which is no number of JSON"),
    (b"\xff{}", "x: wanted JSON, got 'utf-8' codec"),
    ('{"a": ' + "9" * 5000 + "}", "x: wanted JSON, got Exceeds the limit"),
])
def test_json_that_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_object(text, "x")
