"""The integer network in a file: the same bits, and nothing else accepted."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hqdm.golden.network.network_file import load_network, network_of, save_network
from hqdm.kit.tensor_file import load_checkpoint

SHIPPED = Path(__file__).parents[3] / "models" / "cifar10" / "w4a4.integers.safetensors"


@pytest.mark.parametrize("name", ["w4a4", "free"])
def test_a_file_gives_the_same_bits(name, request, tmp_path):
    w4a4 = request.getfixturevalue(name)
    path = tmp_path / "integers.safetensors"
    save_network(path, w4a4.integers, {"from": "a test"})
    read, about = load_network(path)
    assert about == {"from": "a test"}
    assert read.network == w4a4.integers.network
    latent = w4a4.integers.encode(w4a4.latents[2], 2)
    assert torch.equal(read.run(latent, 2, w4a4.classes).values,
                       w4a4.integers.run(latent, 2, w4a4.classes).values)
    weights = sum(p.base.weights.numel() for p in w4a4.integers.layers)
    print(f"{weights} weights in {path.stat().st_size} bytes")
    assert path.stat().st_size < 3 * weights


def test_a_truncated_file_is_refused(w4a4, tmp_path):
    path = tmp_path / "integers.safetensors"
    save_network(path, w4a4.integers, {})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"integers\.safetensors"):
        load_network(path)


def test_the_shipped_file_is_written_as_it_is_read(tmp_path):
    path = tmp_path / "integers.safetensors"
    digest = save_network(path, *load_network(SHIPPED))
    before = load_checkpoint(SHIPPED, "integers")
    assert digest == before.digest == load_checkpoint(path, "integers").digest
    assert path.stat().st_size == SHIPPED.stat().st_size


@pytest.fixture
def read(w4a4, tmp_path):
    path = tmp_path / "integers.safetensors"
    save_network(path, w4a4.integers, {})
    return load_checkpoint(path, "integers")


def refused(read, text, path="x.safetensors"):
    with pytest.raises(ValueError, match=text) as caught:
        network_of(read, path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def with_tensor(read, name, change):
    return replace(read, tensors=read.tensors | {name: change(read.tensors[name])})


@pytest.mark.parametrize("dtype", [
    torch.float32, torch.float64, torch.bfloat16, torch.bool, torch.complex64, torch.uint8])
@pytest.mark.parametrize("name", ["0.bias", "3.base.multipliers", "input_exponent", "0.gate_shift"])
def test_integers_of_another_dtype(read, name, dtype):
    """As they would be cast to the same integers, and as NaN or infinity."""
    wanted = f"{name.partition('.')[2] or name}: wanted signed integers, got"
    refused(with_tensor(read, name, lambda t: t.abs().to(dtype)), wanted)
    if dtype.is_floating_point:
        for value in (float("nan"), float("inf")):
            refused(with_tensor(read, name, lambda t, v=value: torch.full(t.shape, v).to(dtype)),
                    wanted)


@pytest.mark.parametrize("dtype", [torch.int8, torch.float32, torch.bool])
def test_weights_of_another_dtype(read, dtype):
    refused(with_tensor(read, "0.base.weights", lambda t: t.to(dtype)),
            "conv_in: weights: wanted an uint8 tensor, got")


@pytest.mark.parametrize(("name", "value", "text"), [
    ("0.bias", 1 << 40, "bias: wanted -32768..32767, got 1099511627776"),
    ("0.base.bias", (1 << 16) + 5, "base.bias: wanted -32768..32767, got 65541"),
    ("0.base.multipliers", (1 << 63) - 1, "multipliers: wanted 1..65535, got 9223372036854775807"),
    ("0.base.step_shift", 48, "step_shift: wanted 0..47, got 48"),
    ("0.source_exponents", 32, "source_exponents: wanted -31..31, got 32"),
    ("input_exponent", -(1 << 62), "input_exponent: wanted -31..31, got -4611686018427387904"),
])
def test_integers_out_of_range(read, name, value, text):
    refused(with_tensor(read, name, lambda t: torch.full(t.shape, value)), text)


@pytest.mark.parametrize("name", ["0.bias", "0.base.weights", "input_exponent", "2.group.gain"])
def test_tensors_of_another_shape_or_none(read, name):
    refused(with_tensor(read, name, lambda t: t.reshape(-1)[:-1].clone()), "wanted .*, got ")
    without = {k: t for k, t in read.tensors.items() if k != name}
    refused(replace(read, tensors=without), f"{name}: wanted a tensor of that name, got none")
    more = read.tensors | {f"{name}.more": torch.zeros(1)}
    refused(replace(read, tensors=more), f"{name}.more: wanted no tensor of that name, got one")


@pytest.mark.parametrize(("path", "value", "text"), [
    (["network"], None, "network: wanted an object of name, tensors"),
    (["network", "name"], None, "network.name: wanted a text, got None"),
    (["network", "nodes"], [], "wanted input .* among its tensors"),
    (["network", "timesteps"], 2, "wanted 2 timesteps, got 3"),
    (["network", "timesteps"], True, "network.timesteps: wanted an integer, got True"),
    (["network", "tensors", 0, "height"], 1 << 40, "wanted at most 67108864 numbers|wanted sour"),
    (["network", "nodes", 0, "layer", "multiply", "bits"], 4.0, "bits: wanted an integer"),
    (["network", "nodes", 0, "sources"], ["y"], "wanted a tensor that is already written"),
    (["numbers"], {}, "numbers: wanted a list"),
    (["numbers", 0], {"guard": 0}, "numbers: wanted base.channel_shift, guard of each"),
    (["numbers", 0, "guard"], 8, "guard: wanted 0..7, got 8"),
    (["numbers", 0, "guard"], False, "guard: wanted an integer, got False"),
    (["more"], 1, "'more': wanted one of network, numbers"),
])
def test_headers_that_are_none(read, path, value, text):
    head = copy.deepcopy(read.architecture)
    at = head
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    refused(replace(read, architecture=head), text)


def test_a_header_without_a_network(read):
    refused(replace(read, architecture={"numbers": read.architecture["numbers"]}),
            "network: wanted an object of network, numbers, got none of that name")


def test_what_could_not_be_read_is_not_written(w4a4):
    with pytest.raises(ValueError, match=r"input_exponent: wanted -31\.\.31, got 40"):
        replace(w4a4.integers, input_exponent=torch.full((3,), 40))
    layers = list(w4a4.integers.layers)
    layers[0] = replace(layers[0], guard=9)
    with pytest.raises(ValueError, match=r"guard: wanted 0\.\.7, got 9"):
        replace(w4a4.integers, layers=tuple(layers))
