"""A network on the device: every layer of every step bit for bit, constants written once."""

from dataclasses import replace

import pytest
import torch

from hqdm.firmware.compile.network import compile_network
from hqdm.firmware.device.driver import DeviceError
from hqdm.firmware.device.runner import DeviceNetwork
from hqdm.firmware.device.transports.golden import GoldenTransport
from hqdm.golden.carrier import Carrier
from hqdm.golden.network.interpreter import IntegerNetwork
from hqdm.golden.random import random_parameters
from hqdm.golden.stages import LayerParameters
from hqdm.spec import (
    Layer,
    Load,
    Multiply,
    Network,
    Node,
    Store,
    StoreStages,
    Table,
    TensorSpec,
    config_by_name,
)


def check_call(device, network, carrier, timestep, label):
    """Every node's tensor against golden's; the cycles of the call."""
    batch = Carrier(carrier.values.unsqueeze(0), carrier.exponent)
    golden = network.trace(batch, timestep, torch.tensor([label]))
    cycles = 0
    for run, (node, wanted) in zip(
            device.trace(carrier, timestep, label), golden, strict=True):
        got = device.read(node.output)
        assert got.exponent == wanted.exponent
        assert torch.equal(got.values, wanted.values[0]), node.layer.name
        cycles += sum(layer.cycles for layer in run.layers)
    return cycles


@pytest.mark.parametrize("name", ["n4", "n8", "n16", "n32"])
def test_every_layer_on_the_functional_device(tiny, encoded, on_device, name):
    device = on_device(compile_network(tiny, config_by_name(name)))
    for timestep, label in ((0, 3), (1, 10), (0, 0)):
        check_call(device, tiny, encoded(timestep).own, timestep, label)


def test_one_head_and_no_classes(unconditional, on_device):
    device = on_device(compile_network(unconditional, config_by_name("n8")))
    x = torch.randn(3, 16, 8, generator=torch.Generator().manual_seed(2))
    for timestep in (1, 0):
        check_call(device, unconditional, unconditional.encode(x, timestep), timestep, 0)


def test_every_layer_on_the_rtl(tiny, compiled, encoded, on_device):
    """Two steps, two classes, n4: bit-exact, and the cycles depend on the shapes alone."""
    device = on_device(compiled, "rtl")
    cycles = {check_call(device, tiny, encoded(t, label % 2).own, t, label)
              for t in (0, 1) for label in (4, 10)}
    print(cycles)
    assert len(cycles) == 1


def test_run(tiny, device, encoded):
    noise, runs = device.run(encoded(1).own, 1, 5)
    wanted = tiny.run(encoded(1).batch, 1, torch.tensor([5]))
    assert torch.equal(noise.values, wanted.values[0]) and noise.exponent == wanted.exponent
    assert sum(len(run.layers) for run in runs) == device.program.layer_count
    assert all(run.host_seconds >= 0 and run.device_seconds > 0 for run in runs)


class Recording(GoldenTransport):
    """Keeps the address ranges of every write."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.writes = []

    def write_memory(self, address, data):
        self.writes.append((address, address + len(data)))
        super().write_memory(address, data)


def test_constants_are_written_once(tiny, compiled, encoded):
    """Between steps only activations and operands are written; only TIMESTEP changes."""
    transport = Recording(compiled.config, compiled.memory.total_bytes)
    device = DeviceNetwork(compiled, transport)
    before = transport.read_memory(0, compiled.memory.constant_bytes)
    transport.writes.clear()
    for timestep in (0, 1):
        check_call(device, tiny, encoded(timestep).own, timestep, 7)
    assert transport.writes
    assert min(start for start, _ in transport.writes) >= compiled.memory.constant_bytes
    assert transport.read_memory(0, compiled.memory.constant_bytes) == before


def test_what_the_device_reads_directly_stays_there(compiled, encoded):
    """No tensor that only the core reads is written by the host."""
    transport = Recording(compiled.config, compiled.memory.total_bytes)
    device = DeviceNetwork(compiled, transport)
    written = {}
    for run in device.trace(encoded(0).own, 0, 1):
        node = run.program.node
        written[node.output] = [w for w in transport.writes
                                if w[0] == compiled.tensors[node.output]]
        if run.program.node.layer.name == "down_blocks.0.resnets.0.conv2":
            assert not written[node.output] and node.second == "conv_in"
        transport.writes.clear()
    assert not written["conv_in"] and not written["conv_out"]


def gated(residual):
    """One linear layer whose gate and residual are left to the host."""
    gate = Table(function="gelu", in_exponent=11, out_exponent=11)
    layer = Layer(name="gated", load=Load(channels=(6,), height=8, width=1),
                  multiply=Multiply(op="linear", out_channels=12),
                  store=Store(residual=residual, stages=StoreStages(
                      gate=gate, classes=3, statistics=("row",))), timesteps=2)
    generator = torch.Generator().manual_seed(3)
    base = random_parameters(replace(layer, store=Store(residual=residual)), generator)
    bias = torch.randint(-500, 500, (2, 3, 12), dtype=torch.int16, generator=generator)
    zeros = torch.zeros(2, dtype=torch.int64)
    second = base.output_exponent + base.residual_shift
    base = replace(base, bias=bias[:, 0], source_exponent=second)
    parameters = LayerParameters(
        base=base, source_exponents=second.unsqueeze(1), bias=bias, row=None, group=None,
        affine=None, weight_multiplier=zeros, weight_shift=zeros, gate_shift=zeros + 9, guard=0)
    tensors = tuple(TensorSpec(name=n, channels=6, height=4, width=2) for n in "xy")
    node = Node(layer=layer, sources=("x",), output="y",
                second=None if residual == "none" else "x")
    network = Network(name="gated", tensors=tensors, nodes=(node,), input="x", output="y",
                      timesteps=2, classes=3)
    return IntegerNetwork(network=network, layers=(parameters,), input_exponent=second)


@pytest.mark.parametrize("residual", ["none", "add", "subtract"])
def test_gates_and_their_residual(on_device, residual):
    network = gated(residual)
    device = on_device(compile_network(network, config_by_name("n4")))
    x = torch.randint(-30000, 30000, (6, 4, 2), dtype=torch.int16,
                      generator=torch.Generator().manual_seed(4))
    for timestep, label in ((0, 0), (1, 2), (0, 1)):
        carrier = Carrier(x, int(network.input_exponent[timestep]))
        check_call(device, network, carrier, timestep, label)


def test_bad_calls(device, encoded):
    latent = encoded(0).own
    for arguments, text in (
            ((latent, 2, 0), r"timestep: wanted 0\.\.1, got 2"),
            ((latent, 0, 11), r"class: wanted 0\.\.10, got 11"),
            ((Carrier(latent.values, latent.exponent - 1), 0, 0), r"latent: wanted shape"),
            ((encoded(0).batch, 0, 0), r"got \(1, 4, 16, 16\)")):
        with pytest.raises(ValueError, match=text):
            device.run(*arguments)


def test_too_little_memory(compiled):
    with pytest.raises(ValueError, match=r"wanted \d+ bytes of memory, got 64"):
        DeviceNetwork(compiled, GoldenTransport(compiled.config, 64))


def test_a_fault_names_its_layer(device, encoded):
    program = device.program.nodes[5].layers[0]
    device.transport.write_memory(program.descriptor_address, b"NOPE")
    with pytest.raises(DeviceError, match=r"down_blocks\.1\.resnets\.0\.conv2: the device ended "
                                          r"the layer with BAD_DESCRIPTOR"):
        device.run(encoded(0).own, 0, 0)
