"""The shipped networks: whole, small, the same bits everywhere, and through the RTL."""

import hashlib
from pathlib import Path

import pytest
import torch

from hqdm.cli.device_sample import open_device
from hqdm.cli.sample import SHIPPED
from hqdm.firmware.compile.network import compile_network
from hqdm.firmware.device.comparison import Comparison
from hqdm.golden.carrier import Carrier
from hqdm.golden.network.network_file import load_network
from hqdm.kit.tensor_file import load_checkpoint
from hqdm.spec import PRESETS

LIMITS = {"autoencoder": 2 << 20, "unet": 40 << 20, "quantised": 8 << 20, "integers": 8 << 20}
NOISE = "fd7f6dffc4dcacab"


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.safetensors")), ids=lambda p: p.stem)
def test_files(path: Path):
    read = load_checkpoint(path, tuple(LIMITS))
    assert path.stat().st_size <= LIMITS[read.kind]
    assert read.digest in (SHIPPED / "README.md").read_text()


@pytest.fixture(scope="module")
def network():
    return load_network(SHIPPED / "w4a4.integers.safetensors")[0]


@pytest.fixture(scope="module")
def latents(network):
    """Integers of some noise, (1, 4, 16, 16)."""
    x = torch.randint(-9000, 9000, (1, 4, 16, 16), generator=torch.Generator().manual_seed(1))
    return Carrier(x.to(torch.int16), int(network.input_exponent[3]))


def test_the_same_bits_everywhere(network, latents):
    noise = network.run(latents, 3, torch.tensor([7])).values
    assert hashlib.sha256(noise.numpy().tobytes()).hexdigest()[:16] == NOISE


def test_a_call_through_the_rtl(network, latents):
    program = compile_network(network, PRESETS["n8"])
    device = open_device(program, 40)
    call = Comparison(device, "layers").call(
        Carrier(latents.values[0], latents.exponent), 3, 7)
    assert (call.layers_compared, call.mismatches) == (len(program.nodes), 0)
    assert call.cycles == program.cycles        # the cycle model's count
