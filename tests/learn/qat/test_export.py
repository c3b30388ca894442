"""Frozen and written networks: the student's outputs, bit for bit."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hqdm.kit.tensor_file import load_checkpoint
from hqdm.learn.qat.export import export, freeze, layer_scales, load_quantised, quantised_of
from hqdm.learn.qat.methods import METHODS, make_method
from tests.small_files import write_quantised


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


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return load_checkpoint(write_quantised(tmp_path_factory.mktemp("q") / "q"), "quantised")


def refused(read, text):
    with pytest.raises(ValueError, match=text) as caught:
        quantised_of(Path("q"), read)
    assert str(caught.value).startswith("q: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(("keys", "value", "text"), [
    (["class"], "AutoencoderKL", "wanted a class of UNet2DConditionModel, UNet2DModel, got 'Auto"),
    (["class"], ["UNet2DModel"], r"kind: wanted a text, got \['UNet2DModel'\]"),
    (["config"], None, "config: wanted an object, got None"),
    (["config", "layers_per_block"], 10 ** 6, "layers_per_block: wanted at most 16, got 1000000"),
    (["config", "block_out_channels"], [8] * 99, "block_out_channels: wanted at most 16 levels"),
    (["config", "block_out_channels"], [10 ** 9], "block_out_channels: wanted at most 65536, got"),
    (["config", "block_out_channels"], [4096], "another architecture: .*: wanted .*, got "),
    (["config", "norm_num_groups"], 0, "another architecture: "),
    (["config", "down_block_types"], [1], "another architecture: "),
    (["config", "more"], 1, "wanted fields of UNet2DConditionModel, got 'more'"),
    (["method", "name"], "other", "method: wanted one of hqdm, "),
    (["method", "order"], 40, "--order: wanted 0..6, got 40"),
    (["schedule"], [10 ** 12], "schedule: wanted different timesteps"),
    (["schedule"], [True], r"schedule\[0\]: wanted an integer, got True"),
    (["schedule"], [501], "another architecture: .*: wanted .*, got "),
    (["rules", 0, "order"], 40, "order: wanted 0..6, got 40"),
    (["rules", 0, "weight_bits"], 5, "weight bits: wanted one of"),
    (["rules", 0, "outputs"], 10 ** 12, "another architecture: "),
    (["rules", 0, "name"], "nothing", "another architecture: "),
    (["rules"], [], "rules: 'time_embedding.linear_1': name: wanted .*, got 'none'"),
    (["rules", 2, "stride"], 0, "rules: '.*': stride: wanted 1, got 0"),
    (["rules", 2, "height"], 9, "rules: '.*': height: wanted 4, got 9"),
    (["rules", 2, "sources"], [1, 1], "rules: '.*': sources: wanted "),
    (["config", "sample_size"], 8, "rules: '.*': height: wanted 8, got 4"),
    (["rules", 0], {}, r"rules\[0\].name: wanted .* none of that name"),
])
def test_headers_that_are_none(small, keys, value, text):
    head = copy.deepcopy(small.architecture)
    at = head
    for key in keys[:-1]:
        at = at[key]
    at[keys[-1]] = value
    refused(replace(small, architecture=head), text)


@pytest.mark.parametrize(("name", "change", "text"), [
    ("tokens", lambda t: t[0].clone(), r"tokens: wanted shape \(classes \+ 1, 4\), got \(4,\)"),
    ("tokens", lambda t: t * float("nan"), "tokens: wanted finite float32 numbers"),
    ("tokens", lambda t: t.long(), "tokens: wanted finite float32 numbers, got torch.int64"),
    (".weight.integers", lambda t: t[1:].clone(), "unpacking: wanted .* bytes"),
    (".weight.integers", lambda t: t.float(), "unpacking: wanted an uint8 tensor, got float32"),
    (".weight.steps.values", lambda t: t * float("inf"), "wanted finite numbers, got NaN or inf"),
    (".weight.steps.values", lambda t: t * 0, "wanted steps above 0, got 0.0"),
    (".activation.steps.values", lambda t: -t, "wanted steps above 0, got -"),
    (".activation.steps.values", lambda t: t.bool(), "wanted an float32 tensor, got bool"),
    (".bias", lambda t: t.to(torch.complex64), "wanted an float32 tensor, got complex64"),
])
def test_tensors_that_are_others(small, name, change, text):
    key = next(k for k in small.tensors if k.endswith(name))
    refused(replace(small, tensors=small.tensors | {key: change(small.tensors[key])}), text)
    if name != "tokens":
        rest = {k: t for k, t in small.tensors.items() if k != key}
        refused(replace(small, tensors=rest), "another architecture: .*got no such tensor")
