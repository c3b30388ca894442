"""The integer network in a file: the same bits, and nothing else accepted."""

from pathlib import Path

import pytest
import torch

from hqdm.golden.network.network_file import load_network, save_network
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
