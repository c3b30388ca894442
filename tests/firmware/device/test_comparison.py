"""Comparison with golden: a fault is found where it is, kept, and replayed."""

import json

import pytest
import torch

from hqdm.firmware.device.comparison import Comparison
from hqdm.firmware.device.reproduce import capture
from hqdm.firmware.device.reproducer import load_reproducer
from hqdm.sim.replay import main, replay_file

LAYER = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"


def corrupt(device, address, mask=0x10):
    byte = device.transport.read_memory(address, 1)[0]
    device.transport.write_memory(address, bytes([byte ^ mask]))


def program_of(device, name):
    return next(n for n in device.program.nodes if n.node.layer.name == name)


@pytest.mark.parametrize(("mode", "compared"), [("none", 0), ("outputs", 1), ("layers", 64)])
def test_modes(device, encoded, mode, compared):
    seen = []
    comparison = Comparison(device, mode)
    call = comparison.call(encoded(1).own, 1, 3, seen.append)
    assert (call.layers_compared, call.mismatches) == (compared, 0)
    assert comparison.first is None and len(seen) == len(call.nodes) == 64
    assert call.cycles == 0     # the functional device has no clock


def test_unknown_mode(device):
    with pytest.raises(ValueError, match="compare: wanted one of none, outputs, layers, got 'all'"):
        Comparison(device, "all")


@pytest.fixture
def broken(device, encoded, tmp_path):
    """(comparison, file) after a call with one bit of the weights of LAYER wrong."""
    corrupt(device, program_of(device, LAYER).layers[0].at.weights + 5)
    path = tmp_path / "found.mismatch"
    comparison = Comparison(device, "layers", path)
    call = comparison.call(encoded(1).own, 1, 3)
    assert call.layers_compared == 64 and call.mismatches >= comparison.first.count
    return comparison, path


def test_a_wrong_weight_is_found(tiny, broken, encoded):
    comparison, path = broken
    first = comparison.first
    assert (first.layer, first.timestep, first.class_index) == (LAYER, 1, 3)
    wanted = dict((n.layer.name, c) for n, c in tiny.trace(encoded(1).batch, 1, torch.tensor([3])))
    values = wanted[LAYER].values[0]
    assert int(values[first.index]) == first.expected != first.got
    assert first.outputs == values.numel() and 0 < first.count <= first.outputs
    text = str(first)
    assert f"{LAYER}: step 1, class 3: {first.count} of {first.outputs} values differ" in text
    assert f"expected {first.expected}, got {first.got}" in text
    assert "1 bytes of the weights changed in device memory, the first at 0x" in text
    assert str(path) in text


@pytest.mark.parametrize("backend", ["golden", "rtl"])
def test_the_reproducer_reproduces(broken, capsys, backend):
    comparison, path = broken
    assert main([str(path), "--backend", backend]) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["layer"] == LAYER and result["backend"] == backend
    assert result["mismatches"] == result["recorded"] == comparison.first.count
    assert result["same_as_recorded"]
    found = load_reproducer(path)
    assert found.about["fields"]["kernel"] == 1 and found.about["description"]["name"] == LAYER
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_head_of_a_product_is_named(device, encoded):
    name = LAYER.replace("to_q", "mix")
    corrupt(device, program_of(device, name).layers[1].at.multipliers, 0x40)
    comparison = Comparison(device, "layers")
    comparison.call(encoded(0).own, 0, 0)
    assert comparison.first.layer == name
    assert f"the core's layer {name}.head1 differs on its own operands" in str(comparison.first)
    assert "bytes of the multipliers changed" in str(comparison.first)


def test_a_host_stage_is_told_apart(device, encoded, monkeypatch):
    """Wrong operands, right core: nothing to reproduce."""
    from hqdm.firmware.device import host_stages
    right = host_stages.finished
    monkeypatch.setattr(host_stages, "finished", lambda *a: right(*a) + 1)
    comparison = Comparison(device, "layers")
    comparison.call(encoded(0).own, 0, 0)
    assert comparison.first.layer == LAYER.replace("to_q", "scores")
    assert "the core agrees with golden on the operands it was given" in str(comparison.first)


def test_outputs_only_sees_the_noise(device, encoded):
    corrupt(device, program_of(device, LAYER).layers[0].at.weights + 5)
    comparison = Comparison(device, "outputs")
    call = comparison.call(encoded(1).own, 1, 3)
    assert comparison.first.layer == "conv_out" and call.mismatches == comparison.first.count


def test_nothing_to_capture(device, encoded):
    for run in device.trace(encoded(0).own, 0, 0):
        assert capture(device, run.program) is None


def test_bad_files(tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 2
    assert "none: no such checkpoint" in capsys.readouterr().err
    (tmp_path / "x").write_bytes(b"not a reproducer")
    with pytest.raises(ValueError, match="truncated or damaged"):
        replay_file(tmp_path / "x", "golden")
