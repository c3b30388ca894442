"""Checkpoints come back as they were, and damaged or foreign ones are refused in one line."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hqdm.kit.tensor_file import (
    FORMAT,
    Checkpoint,
    load_checkpoint,
    load_state,
    save_checkpoint,
)
from hqdm.learn.diffusion.autoencoder import decode, make_autoencoder
from hqdm.learn.diffusion.files import (
    fingerprint,
    load_autoencoder,
    load_unet,
    save_autoencoder,
    save_unet,
)
from hqdm.learn.diffusion.presets import autoencoder_preset, unet_preset
from hqdm.learn.diffusion.unet import make_unet


def example():
    return Checkpoint(kind="unet", architecture={"channels": [8, 8]}, training={"step": 7},
                      tensors={"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(4).half()})


@pytest.fixture
def path(tmp_path):
    save_checkpoint(tmp_path / "x.safetensors", example())
    return tmp_path / "x.safetensors"


def test_round_trip(path):
    loaded = load_checkpoint(path, "unet", {"channels": [8, 8]})
    assert loaded.training == {"step": 7} and loaded.architecture == {"channels": [8, 8]}
    for name, tensor in example().tensors.items():
        assert torch.equal(loaded.tensors[name], tensor)
    assert [p.name for p in path.parent.iterdir()] == ["x.safetensors"]


def test_one_of_several_kinds(path):
    assert load_checkpoint(path, ("autoencoder", "unet")).kind == "unet"
    with pytest.raises(ValueError, match="of kind autoencoder, integers, got unet"):
        load_checkpoint(path, ("autoencoder", "integers"))


def test_order_of_memory_does_not_matter():
    first = Checkpoint(kind="k", architecture={}, training={},
                       tensors={"a": torch.randn(2, 3, 4, 4)})
    again = Checkpoint(kind="k", architecture={}, training={}, tensors={
        "a": first.tensors["a"].contiguous(memory_format=torch.channels_last)})
    assert first.digest == again.digest


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_truncated(path, keep):
    content = path.read_bytes()
    path.write_bytes(content[:keep])
    with pytest.raises(ValueError, match="wanted a whole safetensors file, got a truncated") as e:
        load_checkpoint(path, "unet")
    assert "\n" not in str(e.value)


def test_one_bit_of_a_weight(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"checksum is \w{12}, wanted \w{12}; the file was alt"):
        load_checkpoint(path, "unet")


def test_edited_header(path):
    header = {"format": FORMAT, "kind": "unet", "architecture": json.dumps({"channels": [8, 9]}),
              "training": "{}", "sha256": example().digest}
    save_file(load_file(path), path, header)
    with pytest.raises(ValueError, match="the file was altered"):
        load_checkpoint(path, "unet")


def test_foreign_files(path, tmp_path):
    with pytest.raises(ValueError, match="wanted a checkpoint of kind autoencoder, got unet"):
        load_checkpoint(path, "autoencoder")
    with pytest.raises(ValueError, match=r"another architecture: wanted channels \[16\], got \[8"):
        load_checkpoint(path, "unet", {"channels": [16]})
    save_file({"a": torch.zeros(1)}, tmp_path / "y.safetensors")
    with pytest.raises(ValueError, match="wanted a checkpoint of format hqdm-1, got none"):
        load_checkpoint(tmp_path / "y.safetensors", "unet")
    with pytest.raises(FileNotFoundError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "z.safetensors", "unet")


def test_unet_file(tmp_path):
    preset, path = unet_preset("tiny"), tmp_path / "unet.safetensors"
    model = make_unet(preset, 2)
    save_unet(path, preset, model.state_dict(), {"step": 1})
    loaded = load_unet(path)
    assert loaded.preset == preset and not loaded.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.half().float())
    assert fingerprint(loaded) != fingerprint(model)


def test_unet_file_of_other_tensors(tmp_path):
    preset, path = unet_preset("tiny"), tmp_path / "unet.safetensors"
    state = make_unet(preset).state_dict()
    save_unet(path, preset, state | {"embedding.weight": torch.zeros(3, 8)}, {})
    with pytest.raises(ValueError, match=r"embedding.weight: wanted \(11, 8\), got \(3, 8\)"):
        load_unet(path)
    del state["embedding.weight"]
    save_unet(path, preset, state, {})
    with pytest.raises(ValueError, match=r"embedding.weight: wanted .* got no such tensor"):
        load_unet(path)
    save_checkpoint(path, Checkpoint(kind="unet", architecture={"channels": [8]}, tensors={},
                                     training={}))
    with pytest.raises(ValueError, match="another architecture"):
        load_unet(path)


def test_autoencoder_files(tmp_path):
    preset = autoencoder_preset("tiny")
    model = make_autoencoder(preset)
    latents = torch.randn(1, 4, 16, 16)
    images = []
    for part in (False, True):
        path = tmp_path / f"{part}.safetensors"
        save_autoencoder(path, preset, model.state_dict(), 0.5, {}, decoder_only=part)
        loaded = load_autoencoder(path)
        assert loaded.config.scaling_factor == 0.5
        images.append(decode(loaded, latents))
    assert torch.equal(*images)
    assert (tmp_path / "True.safetensors").stat().st_size < path.with_name(
        "False.safetensors").stat().st_size


def test_the_same_bytes_for_the_same_checkpoint(tmp_path):
    """safetensors alone gives one of 120 orders each time."""
    checkpoint = Checkpoint(kind="x", architecture={"größe": 1}, training={"b": 2, "a": 1},
                            tensors={"b": torch.ones(3), "a": torch.zeros(2, dtype=torch.int8)})
    found = set()
    for _ in range(8):
        save_checkpoint(tmp_path / "x", checkpoint)
        found.add((tmp_path / "x").read_bytes())
    read = load_checkpoint(tmp_path / "x", "x")
    assert len(found) == 1 and read.architecture == checkpoint.architecture
    assert all(torch.equal(t, read.tensors[name]) for name, t in checkpoint.tensors.items())
    assert int.from_bytes(next(iter(found))[:8], "little") % 8 == 0


def rewrite(path, tensors=None, **header):
    """The file with other tensors or entries of its header, under the checksum it had."""
    with safe_open(path, framework="pt") as file:
        before = file.metadata()
    after = {k: v for k, v in (before | header).items() if v is not None}
    save_file(load_file(path) if tensors is None else tensors, path, after)


@pytest.mark.parametrize("sha256", [
    None, "", "0" * 64, example().digest[:12], example().digest[:63], example().digest.upper(),
    example().digest[:-1] + "!", example().digest[:12] + "0" * 52, example().digest + "0"])
def test_nothing_but_the_whole_checksum(path, sha256):
    rewrite(path)
    load_checkpoint(path, "unet")
    rewrite(path, sha256=sha256)
    with pytest.raises(ValueError, match="the file was altered"):
        load_checkpoint(path, "unet")


@pytest.mark.parametrize("change", [
    {"kind": "other"}, {"architecture": '{"channels": [8]}'}, {"architecture": "{}"},
    {"training": '{"step": 8}'}, {"training": '{"step": 7, "more": 1}'}])
def test_the_checksum_is_of_every_entry(path, change):
    rewrite(path, **change)
    with pytest.raises(ValueError, match="the file was altered"):
        load_checkpoint(path, ("unet", "other"))


def other_tensors():
    a, b = (example().tensors[name] for name in "ab")
    return {
        "name": {"a": a, "c": b}, "swapped": {"a": b, "b": a}, "dtype": {
            "a": a, "b": b.view(torch.bfloat16)}, "shape": {"a": a.reshape(3, 2), "b": b},
        "missing": {"a": a}, "more": {"a": a, "b": b, "c": torch.zeros(0)},
        **{f"byte {i}": {"a": flipped(a, i), "b": b} for i in (0, 1, 11, 23)},
        **{f"last {i}": {"a": a, "b": flipped(b, i)} for i in (0, 7)}}


def flipped(tensor, byte):
    raw = tensor.clone().reshape(-1).view(torch.uint8)
    raw[byte] ^= 1
    return raw.view(tensor.dtype).view(tensor.shape)


@pytest.mark.parametrize("which", list(other_tensors()))
def test_the_checksum_is_of_every_tensor(path, which):
    rewrite(path, other_tensors()[which])
    with pytest.raises(ValueError, match="the file was altered"):
        load_checkpoint(path, "unet")


@pytest.mark.parametrize(("change", "text"), [
    ({"architecture": "[1]"}, r"x.safetensors: architecture: wanted a JSON object, got \[1\]"),
    ({"training": None}, "x.safetensors: training: wanted JSON, got Expecting value"),
    ({"training": "[" * 99_999}, "training: wanted JSON, got brackets nested too deeply"),
    ({"training": '{"step": NaN}'}, "training: wanted JSON, got NaN"),
    ({"kind": "un\net"}, r"of kind unet, got un\\net$"),
    ({"format": "hqdm-" + "1" * 999}, r"of format hqdm-1, got hqdm-1{40,60}\.\.$"),
])
def test_headers_that_are_no_headers(path, change, text):
    rewrite(path, **change)
    with pytest.raises(ValueError, match=text):
        load_checkpoint(path, "unet")


@pytest.mark.parametrize(("tensor", "text"), [
    (torch.tensor([1.0, float("nan")]), "m: bias: wanted finite numbers, got NaN or infinity"),
    (torch.tensor([1.0, 1e300], dtype=torch.float64), "bias: wanted finite numbers, got NaN"),
    (torch.tensor([1, 2]), "bias: wanted an float32 tensor, got int64"),
    (torch.tensor([True, False]), "bias: wanted an float32 tensor, got bool"),
    (torch.tensor([1, 2j]), "bias: wanted an float32 tensor, got complex64"),
])
def test_numbers_that_are_none(tensor, text):
    module = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match=text):
        load_state(module, {"weight": torch.zeros(2, 2), "bias": tensor}, "m")


@pytest.mark.parametrize(("key", "value", "text"), [
    ("channels", [10 ** 9, 8], "channels: wanted at most 65536, got 1000000000"),
    ("channels", [8] * 99, "channels: wanted at most 16 levels, got 99"),
    ("channels", [0, 8], "channels: wanted 1 or more, got "),
    ("channels", [8, 8.5], r"channels\[1\]: wanted an integer, got 8.5"),
    ("channels", [4096, 4096], "another architecture: .*: wanted .*, got "),
    ("blocks", 10 ** 6, "blocks: wanted at most 16, got 1000000"),
    ("groups", 3, "another architecture: "),
    ("name", None, "name: wanted a text, got None"), ("more", 1, "'more': wanted one of name"),
])
@pytest.mark.parametrize("kind", ["unet", "autoencoder"])
def test_presets_that_are_none(tmp_path, kind, key, value, text):
    """Nothing is allocated that the tensors of the file are not."""
    path = tmp_path / "x.safetensors"
    if kind == "unet":
        save_unet(path, unet_preset("tiny"), make_unet(unet_preset("tiny")).state_dict(), {})
    else:
        preset = autoencoder_preset("tiny")
        save_autoencoder(path, preset, make_autoencoder(preset).state_dict(), 1.0, {})
    read = load_checkpoint(path, kind)
    save_checkpoint(path, replace(read, architecture=read.architecture | {key: value}))
    with pytest.raises(ValueError, match=text) as caught:
        (load_unet if kind == "unet" else load_autoencoder)(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(("change", "text"), [
    ({"scaling_factor": 0.0}, "scaling_factor: wanted more than 0, got 0.0"),
    ({"scaling_factor": None}, "scaling_factor: wanted a number, got None"),
    ({"decoder_only": 1}, "decoder_only: wanted true or false, got 1"),
])
def test_scales_that_are_none(tmp_path, change, text):
    path, preset = tmp_path / "x.safetensors", autoencoder_preset("tiny")
    save_autoencoder(path, preset, make_autoencoder(preset).state_dict(), 1.0, {})
    read = load_checkpoint(path, "autoencoder")
    save_checkpoint(path, replace(read, architecture=read.architecture | change))
    with pytest.raises(ValueError, match=text):
        load_autoencoder(path)
