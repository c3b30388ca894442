"""The registry of methods."""

import pytest

from hqdm.learn.qat.methods import METHODS, make_method


def test_registry():
    assert set(METHODS) == {"hqdm", "efficientdm", "double-hadamard", "ptq"}
    assert make_method("hqdm").label == "hqdm-width-k5-w4a4"
    assert make_method("hqdm", axis="channel", order=3, activations=3).label == \
        "hqdm-channel-k3-w4a3"
    assert make_method("efficientdm").label == "efficientdm-w4a4"
    free = make_method("hqdm", axis="best", span="free", activations=3)
    assert free.label == "hqdm-best-k5-free-w4a3" and free.asymmetric and free.range == "free"
    assert make_method("efficientdm", span="free").range == "free"
    assert make_method("hqdm", span="symmetric") == make_method("hqdm")
    assert make_method("hqdm", span="free", activations=3, order=6).order == 6
    assert make_method("double-hadamard", axis="channel", order=4).order == 4


@pytest.mark.parametrize("options, text", [
    ({"name": "nope"}, "--method: wanted one of hqdm, .* got 'nope'"),
    ({"name": "hqdm", "weights": 5}, "--weights: wanted one of .* got 5"),
    ({"name": "hqdm", "activations": 16}, "--activations: wanted one of .* got 16"),
    ({"name": "hqdm", "axis": "height"}, "--axis: wanted channel, width or best, got 'height'"),
    ({"name": "hqdm", "order": 7}, "--order: wanted 0..6, got 7"),
    ({"name": "ptq", "axis": "width"}, "--axis: ptq has none, got 'width'"),
    ({"name": "hqdm", "span": "wide"}, "--range: wanted symmetric or free, got 'wide'"),
    ({"name": "ptq", "span": "free"}, "--range: ptq has symmetric, got 'free'"),
    ({"name": "efficientdm", "span": "symmetric"}, "--range: efficientdm has free, got 'symm"),
    ({"name": "hqdm", "span": "free", "activations": 8},
     "--range: wanted symmetric at 8 bits, got 'free'"),
    ({"name": "hqdm", "span": "free", "order": 6},
     "--order: wanted operands of at most 10 bits, got 11 of 4-bit activations of free range"),
    ({"name": "efficientdm", "order": 3}, "--order: efficientdm does not rotate, got 3"),
])
def test_errors(options, text):
    with pytest.raises(ValueError, match=text):
        make_method(**options)
