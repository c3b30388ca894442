"""Lists of layers that are valid, and those that are refused."""

from dataclasses import replace

import pytest

from hqdm.spec import (
    HostTensor,
    Layer,
    Load,
    LoadStages,
    Multiply,
    Network,
    Node,
    Store,
    StoreStages,
    Table,
)
from hqdm.spec import TensorSpec as T


def layer(name="a", channels=(4,), out=4, stages=None, store=None, **multiply):
    return Layer(
        name=name, load=Load(channels=channels, height=4, width=4, stages=stages or LoadStages()),
        multiply=Multiply(op="conv1x1", out_channels=out, **multiply), store=store or Store())


def tensors(*names, channels=4):
    return tuple(T(name=n, channels=channels, height=4, width=4) for n in names)


def network(*nodes, names=("x", "a", "b"), output=None):
    return Network(name="n", tensors=tensors(*names), nodes=nodes, input="x",
                   output=output or nodes[-1].output, timesteps=1)


A = Node(layer=layer("a"), sources=("x",), output="a")
B = Node(layer=layer("b", store=Store(residual="add")), sources=("a",), output="b", second="x")


def test_tensors_die_after_their_last_reader():
    freed = [dead for _, dead in network(A, B).last_reads()]
    assert freed == [(), ("a", "x")]
    assert network(A, B).macs == 2 * 16 * 16
    assert network(A, B).tensor("a").pixels == 16


@pytest.mark.parametrize(("nodes", "text"), [
    ((B,), r"b: wanted a tensor that is already written, got 'a'"),
    ((A, replace(A, output="x")), r"a: wanted a declared tensor that is not yet written, got 'x'"),
    ((A, replace(B, second=None)), r"b: wanted a second operand exactly for a residual, got None"),
    ((replace(A, weights="x"),), r"a: wanted a tensor of weights exactly for a product, got 'x'"),
    ((replace(A, layer=layer(out=5)),), r"a: wanted 'a' of 5 channels, 4 x 4, got"),
    ((replace(A, layer=layer(channels=(5,))),), r"a: wanted sources of \(5,\) channels"),
    ((replace(A, layer=replace(layer(), timesteps=2)),), r"a: wanted 1 timesteps, got 2"),
    ((A, replace(B, layer=layer("b", stages=LoadStages(channel="group_norm", groups=2),
                                store=Store(residual="add")))),
     r"b: wanted 'a' stored with its channel statistics, got \(\)"),
])
def test_bad_lists_are_refused(nodes, text):
    with pytest.raises(ValueError, match=text):
        network(*nodes)


@pytest.mark.parametrize(("make", "text"), [
    (lambda: LoadStages(groups=2), r"groups: wanted a positive number exactly for group_norm"),
    (lambda: LoadStages(row="x"), r"row stage: wanted one of \('none', 'layer_norm', 'softmax'\)"),
    (lambda: Table(function="tanh", in_exponent=0, out_exponent=0), r"table function: wanted one"),
    (lambda: Table(function="exp", in_exponent=16, out_exponent=0),
     r"table in_exponent: wanted -15\.\.15, got 16"),
    (lambda: StoreStages(classes=0), r"classes: wanted at least 1, got 0"),
    (lambda: StoreStages(statistics=("mean",)), r"statistic: wanted one of"),
    (lambda: Multiply(op="conv1x1", out_channels=4, bits=8, product="mix"),
     r"product: wanted linear at 8 bits, got conv1x1 at 8 bits"),
    (lambda: Multiply(op="linear", out_channels=4, heads=2), r"heads: wanted a divisor"),
    (lambda: layer(stages=LoadStages(channel="group_norm", groups=3)),
     r"groups: wanted a divisor of 4 channels, got 3"),
])
def test_bad_stages_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_stages_have_names():
    table = Table(function="gelu", in_exponent=11, out_exponent=11)
    gated = layer(out=8, stages=LoadStages(row="layer_norm", channel="static"),
                  store=Store(stages=StoreStages(gate=table, classes=3, statistics=("row",))))
    assert gated.stages == ("row affine", "channel affine", "class bias", "gate", "row statistics")
    assert gated.stored_channels == 4
    assert layer().stages == ()


def hosted(host, *nodes, size=(2, 2)):
    made = T(name="h", channels=4, height=size[0], width=size[1])
    return Network(name="n", tensors=(*tensors("x", "a", "b"), made), nodes=nodes or (A,),
                   input="x", output=(nodes or (A,))[-1].output, timesteps=1, host=(host,))


def test_the_host_makes_tensors_of_written_ones():
    """Pooled, doubled, or the same in every step; a later layer may read them."""
    pooled = HostTensor(output="h", kind="average", source="a")
    assert hosted(pooled).host == (pooled,)
    hosted(HostTensor(output="h", kind="repeat", source="a"), size=(8, 8))
    hosted(HostTensor(output="h", kind="join", source="a"), size=(17, 1))
    constant = HostTensor(output="h", kind="constant")
    hosted(constant, A, replace(B, second="h"), size=(4, 4))


@pytest.mark.parametrize(("host", "size", "text"), [
    (HostTensor(output="z", kind="average", source="a"), (2, 2),
     r"z: wanted a declared tensor made of another, got average of 'a'"),
    (HostTensor(output="h", kind="average", source="b"), (2, 2), r"got average of 'b'"),
    (HostTensor(output="h", kind="average"), (2, 2), r"got average of None"),
    (HostTensor(output="h", kind="average", source="a"), (4, 4), r"average of 2 x 2 pixels of"),
    (HostTensor(output="h", kind="repeat", source="a"), (2, 2), r"repeat of 2 x 2 pixels of"),
    (HostTensor(output="h", kind="join", source="a"), (4, 4), r"more rows than the pixels of"),
    (HostTensor(output="h", kind="average", source="a", stages=LoadStages(
        channel="group_norm", groups=2)), (2, 2), r"stored with its channel statistics"),
])
def test_tensors_the_host_cannot_make(host, size, text):
    with pytest.raises(ValueError, match=text):
        hosted(host, size=size)
