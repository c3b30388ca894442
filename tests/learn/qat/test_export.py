"""Frozen and written networks: the student's outputs, bit for bit."""

import pytest
import torch

from hqdm.learn.qat.export import export, freeze, layer_scales, load_quantised
from hqdm.learn.qat.methods import METHODS, make_method


def outputs(student, teacher, data, steps):
    with torch.no_grad():
        return torch.stack([student.model(
            data.latents[:2, data.schedule.index(t)].float(), t,
            teacher.tokens[data.labels[:2]][:, None]).sample for t in steps])


@pytest.fixture
def trained(student_of):
    """A student whose every trainable has moved."""
    student = student_of()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, p in student.model.named_parameters():
            if p.requires_grad and not name.endswith(".zero"):
                p += 0.02 * torch.randn(p.shape, generator=generator)
    return student


def test_freezing_keeps_the_outputs(trained, teacher, data):
    kept = data.schedule[::5]
    frozen = freeze(trained, kept)
    assert torch.equal(outputs(frozen, teacher, data, kept), outputs(trained, teacher, data, kept))
    assert not any(p.requires_grad for p in frozen.model.parameters())
    with pytest.raises(ValueError, match="wanted one of the 2 calibrated steps"):
        outputs(frozen, teacher, data, data.schedule[1:2])
    with pytest.raises(ValueError, match=r"wanted one of the 10 calibrated steps .* got 7"):
        freeze(trained, [7])


@pytest.mark.parametrize("name", METHODS)
def test_file_gives_the_same_outputs(name, student_of, teacher, data, tmp_path):
    kept, path = data.schedule[::5], tmp_path / "q.safetensors"
    method = make_method(name, weights=3)
    frozen = freeze(student_of(name, weights=3), kept)
    export(path, frozen, method, {"iterations": 0}, teacher.tokens)
    loaded, tokens, checkpoint = load_quantised(path)
    assert torch.equal(outputs(loaded, teacher, data, kept), outputs(frozen, teacher, data, kept))
    assert torch.equal(tokens, teacher.tokens) and loaded.rules == frozen.rules
    assert checkpoint.architecture["method"]["weights"] == 3
    assert loaded.timestep.schedule == kept


def test_weights_are_packed(trained, data, tmp_path):
    path, frozen = tmp_path / "q.safetensors", freeze(trained, data.schedule[::5])
    export(path, frozen, make_method("hqdm"), {})
    bytes_of = load_quantised(path)[2].tensors
    for rule in frozen.rules:
        if rule.kind != "attention" and rule.role != "unused":
            count = sum(rule.sources) * rule.outputs * rule.kernel ** 2
            packed = bytes_of[f"unet.{rule.name}.weight.integers"]
            assert packed.numel() == -(-count * rule.weight_bits // 8)


def test_scales_of_a_layer(trained, data):
    frozen = freeze(trained, data.schedule[::5])
    integers, weight_scale, step = layer_scales(frozen, "mid_block.resnets.0.conv1")
    assert integers.dtype == torch.int8 and integers.abs().max() == 7
    assert weight_scale.shape == (32,) and step.shape == (2,)
    with pytest.raises(ValueError, match="wanted a frozen layer, got one in training"):
        layer_scales(trained, "conv_in")


def test_bad_files(trained, data, tmp_path):
    path = tmp_path / "q.safetensors"
    export(path, freeze(trained, data.schedule[::5]), make_method("hqdm"), {})
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"checksum is .* the file was altered"):
        load_quantised(path)
    path.write_bytes(good[:1000])
    with pytest.raises(ValueError, match="truncated or damaged"):
        load_quantised(path)
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        load_quantised(tmp_path / "none")


def test_only_known_models_are_written(student_of, data, tmp_path):
    frozen = freeze(student_of(), data.schedule[::5])
    frozen.model.__class__ = type("Other", (type(frozen.model),), {})
    with pytest.raises(ValueError, match=r"wanted one of UNet2DConditionModel, .* got Other"):
        export(tmp_path / "q", frozen, make_method("hqdm"), {})
