"""A network in a memory that does not begin at 0, as on a board."""

from dataclasses import replace

import pytest
import torch

from hqdm.firmware.compile.memory_plan import MemoryPlan, Region, place
from hqdm.firmware.compile.network import compile_network
from hqdm.firmware.device.comparison import Comparison
from hqdm.firmware.device.reproducer import load_reproducer
from hqdm.firmware.device.runner import DeviceNetwork
from hqdm.firmware.device.transports.golden import GoldenTransport
from hqdm.sim.replay import replay_file
from hqdm.spec import config_by_name

BASE = 0x3C000000
CONFIG = config_by_name("n4")


@pytest.fixture(scope="module")
def moved(tiny):
    return compile_network(tiny, CONFIG, 1 << 22, BASE)


def test_everything_moves(compiled, moved):
    """The same plan, from the base on."""
    assert moved.memory.addresses == tuple(a + BASE for a in compiled.memory.addresses)
    for name in ("total_bytes", "constant_bytes", "activation_bytes"):
        assert getattr(moved.memory, name) == getattr(compiled.memory, name)


def test_a_wrong_weight_is_kept_and_replayed(moved, encoded, tmp_path):
    """All layers agree but the one with a wrong weight; its file runs where memory begins at 0."""
    device = DeviceNetwork(moved, GoldenTransport(CONFIG, 1 << 22, memory_base=BASE))
    node = moved.nodes[-1].layers[0]
    byte = device.transport.read_memory(node.at.weights, 1)[0]
    device.transport.write_memory(node.at.weights, bytes([byte ^ 0x30]))
    path = tmp_path / "found.mismatch"
    call = Comparison(device, "layers", path).call(encoded(1).own, 1, 3)
    assert call.layers_compared == 64 and call.mismatches > 0
    found = load_reproducer(path)
    assert found.layer == node.layer.name
    assert all(address + len(data) <= found.memory_bytes for address, data in found.pieces)
    result = replay_file(path, "golden")
    assert result["same_as_recorded"] and result["mismatches"] == call.mismatches
    assert not torch.equal(found.got, found.expected)


def test_memory_at_another_address(moved):
    with pytest.raises(ValueError, match=r"unet: wanted memory at 0x3c000000, got 0x0$"):
        DeviceNetwork(moved, GoldenTransport(CONFIG, 1 << 22))


def test_too_little_from_there_on(tiny):
    """The base takes from what the addresses reach."""
    config = replace(CONFIG, address_bits=20)
    with pytest.raises(ValueError, match=r"the device has 65536$"):
        compile_network(tiny, config, memory_base=(1 << 20) - (1 << 16))


def test_a_plan_from_a_base():
    parts = [Region(name="a", size=16, alignment=64), Region(name="b", size=8, alignment=4,
                                                             first=0, last=0)]
    plan = place(parts, 128, "two", 0x1010)
    assert plan.table() == {"a": 0x1040, "b": 0x1050} and plan.total_bytes == 0x48
    with pytest.raises(ValueError, match=r"two: wanted 72 bytes of memory \(64 of constants, 8 of"):
        place(parts, 71, "two", 0x1010)
    with pytest.raises(ValueError, match=r"b: wanted an address aligned to 4, got 0x100c"):
        MemoryPlan(regions=tuple(parts), addresses=(0x1040, 0x100C), memory_bytes=128, base=0x1010)
