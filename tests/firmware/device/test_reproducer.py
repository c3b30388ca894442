"""Reproducers: what a file says is what its layer is, or it is refused in one line."""

import copy
from dataclasses import replace

import pytest
import torch

from hqdm.firmware.device.reproducer import load_reproducer
from hqdm.kit.tensor_file import load_checkpoint, save_checkpoint
from hqdm.sim.replay import main, replay_file
from hqdm.spec.descriptor import FIELD, STEP_FIELD, Descriptor
from tests.small_files import write_reproducer


@pytest.fixture
def path(tmp_path):
    return write_reproducer(tmp_path / "x.mismatch")


def refused(path, read, text):
    save_checkpoint(path, read)
    with pytest.raises(ValueError, match=text) as caught:
        load_reproducer(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def changed(plain, value, *path):
    plain = copy.deepcopy(plain)
    at = plain
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return plain


def test_there_and_back(path):
    assert replay_file(path, "golden")["mismatches"] == 0
    before = load_checkpoint(path, "reproducer").digest
    load_reproducer(path).save(path)
    assert load_checkpoint(path, "reproducer").digest == before


@pytest.mark.parametrize(("keys", "value", "text"), [
    (["memory_bytes"], 10 ** 13, "memory_bytes: wanted 1..1073741824, got 10000000000000"),
    (["memory_bytes"], 0, "memory_bytes: wanted 1..1073741824, got 0"),
    (["memory_bytes"], 1 << 10, "pieces: wanted .* or the end of the memory is"),
    (["memory_bytes"], "1", "memory_bytes: wanted an integer, got '1'"),
    (["memory_bytes"], True, "memory_bytes: wanted an integer, got True"),
    (["timestep"], 2, "timestep: wanted 0..1, got 2"),
    (["timestep"], -1, "timestep: wanted 0..1, got -1"),
    (["cycles"], 10 ** 18, "cycles: wanted 1..1099511627776, got"),
    (["cycles"], 10 ** 40, "cycles: wanted an integer, got"),
    (["descriptor"], 0, "pieces: wanted one of each"),
    (["output"], 64, "fields: output: wanted 64"),
    (["layer"], None, "layer: wanted a text, got None"),
    (["layer"], "other", "layer: wanted 'conv3x3', as described, got 'other'"),
    (["config"], None, "config: wanted an object of name, n"),
    (["config", "n"], 4.0, "config.n: wanted an integer, got 4.0"),
    (["config", "n"], 1 << 40, "n: wanted a power of two in 4..64"),
    (["config", "acc_words"], 512, "fields: config_hash: wanted"),
    (["more"], 0, "'more': wanted one of layer, config"),
])
def test_numbers_that_are_none(path, keys, value, text):
    read = load_checkpoint(path, "reproducer")
    refused(path, replace(read, architecture=changed(read.architecture, value, *keys)), text)


@pytest.mark.parametrize("key", ["layer", "config", "memory_bytes", "descriptor", "output",
                                 "timestep", "cycles"])
def test_missing_numbers(path, key):
    read = load_checkpoint(path, "reproducer")
    rest = {k: v for k, v in read.architecture.items() if k != key}
    refused(path, replace(read, architecture=rest), f"{key}: wanted .* none of that name")


@pytest.mark.parametrize(("keys", "value", "text"), [
    (["altered"], None, "altered: wanted a list, got None"),
    (["altered"], [1], r"altered\[0\]: wanted a text, got 1"),
    (["fields"], {}, "fields.config_hash: wanted"),
    (["fields", "kernel"], 1, "fields: kernel: wanted 3, as the layer has, got 1"),
    (["fields", "tile_rows"], 0, "fields: wanted tiles, got 0 rows"),
    (["fields", "chunks"], 9, "fields: chunks: wanted"),
    (["fields", "height"], 1 << 70, "fields.height: wanted an integer"),
    (["fields", "second"], 1 << 31, "pieces: wanted one of each"),
    (["description", "load", "height"], 65535, "expected: wanted shape"),
    (["description", "load", "order"], 1, "fields: order: wanted 1"),
    (["description", "multiply", "bits"], 2, "fields: weight_bits: wanted 2"),
    (["description", "timesteps"], 60000, "fields: timesteps: wanted 60000"),
])
def test_a_layer_that_is_another(path, keys, value, text):
    read = load_checkpoint(path, "reproducer")
    refused(path, replace(read, training=changed(read.training, value, *keys)), text)


@pytest.mark.parametrize(("name", "change", "text"), [
    ("expected", lambda t: t.float(), "expected: wanted an int16 tensor, got float32"),
    ("got", lambda t: t[:, 1:].clone(), "got: wanted shape"),
    ("at", lambda t: t[1:].clone(), "pieces: wanted one of each"),
    ("at", lambda t: t.to(torch.int16), "wanted an uint8 tensor, got int16"),
    ("at", lambda t: t.reshape(2, -1), "wanted shape"),
    ("at", None, "pieces: wanted one of each"),
    ("got", None, "got: wanted a tensor of that name, got none"),
])
def test_tensors_that_are_others(path, name, change, text):
    read = load_checkpoint(path, "reproducer")
    for key in [k for k in read.tensors if k.startswith(name)]:
        rest = {k: t for k, t in read.tensors.items() if k != key}
        refused(path, replace(read, tensors=rest if change is None else rest | {
            key: change(read.tensors[key])}), text)


@pytest.mark.parametrize("name", ["at -1", "at 1e3", "at ²", "at 9" + "9" * 30, "more", "at  1"])
def test_names_that_are_no_addresses(path, name):
    read = load_checkpoint(path, "reproducer")
    refused(path, replace(read, tensors=read.tensors | {name: torch.zeros(4, dtype=torch.uint8)}),
            "wanted 'at' and an address, or expected or got|pieces: wanted one of each")


def test_every_bit_of_the_descriptor(path):
    """Also those of no field, and those of the other timestep: nothing passes as no mismatch."""
    read = load_checkpoint(path, "reproducer")
    key = f"at {read.architecture['descriptor']}"
    for bit in range(8 * Descriptor.SIZE):
        image = read.tensors[key].clone()
        image[bit // 8] ^= 1 << bit % 8
        found = replace(read, tensors=read.tensors | {key: image})
        if bit % 97 == 0 or bit == FIELD["residual"].shift:
            refused(path, found, f"descriptor: wanted 0x.. in byte {bit // 8}, as its fields have")


def test_bits_of_no_field_of_a_step(path):
    read = load_checkpoint(path, "reproducer")
    key = f"at {read.training['fields']['steps']}"
    for bit in (31, STEP_FIELD["bias"].shift + 1, STEP_FIELD["bias"].shift + 40, 8 * 63):
        image = read.tensors[key].clone()
        image[64 + bit // 8] ^= 1 << bit % 8
        refused(path, replace(read, tensors=read.tensors | {key: image}),
                "steps: wanted entry 1 with its bias at")


def test_what_device_memory_did_not_keep_is_said(path):
    """A descriptor that differs and is recorded as such is what a reproducer is for."""
    read = load_checkpoint(path, "reproducer")
    key = f"at {read.architecture['descriptor']}"
    image = read.tensors[key].clone()
    image[FIELD["channel_shift"].shift // 8] ^= 1
    said = "1 bytes of the descriptor changed in device memory, the first at 0x1: ..."
    save_checkpoint(path, replace(read, tensors=read.tensors | {key: image},
                                  training=read.training | {"altered": [said]}))
    result = replay_file(path, "golden")
    assert result["mismatches"] > 0 and result["altered"] == (said,)


def test_one_line_and_status_2(path, capsys):
    read = load_checkpoint(path, "reproducer")
    save_checkpoint(path, replace(read, architecture=read.architecture | {
        "memory_bytes": 10 ** 13}))
    assert main([str(path), "--backend", "golden"]) == 2
    assert capsys.readouterr().err == (
        f"error: {path}: memory_bytes: wanted 1..1073741824, got 10000000000000\n")
