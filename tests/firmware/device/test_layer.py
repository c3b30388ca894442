"""A layer on the functional device: everything golden's run_layer does, bit for bit."""

import random
from dataclasses import replace

import pytest
import torch

from hqdm.firmware.compile.layers import compile_layer
from hqdm.firmware.compile.packing import unpack_activation
from hqdm.firmware.device.driver import DeviceFault
from hqdm.firmware.device.layer import DeviceLayer, Operands, prepare
from hqdm.golden.carrier import Carrier
from hqdm.golden.layer import run_layer
from hqdm.golden.random import random_factors, random_layer, random_parameters, random_sources
from hqdm.spec import Layer, Load, Multiply, Store, config_by_name
from hqdm.spec.registers import Fault
from tests.firmware.small_layers import CONFIG, LAYER, MIX, device, operands


def check(driver, layer, timestep, seed=1):
    parameters, sources, second = operands(layer, timestep, seed)
    factors = random_factors(layer, torch.Generator().manual_seed(seed))
    wanted = run_layer(layer, parameters, sources, timestep, second, factors)
    got, run = prepare(driver, layer, parameters).run(sources, timestep, second, factors)
    assert got.exponent == wanted.exponent
    assert torch.equal(got.values, wanted.values)
    assert run.layer is layer and run.cycles == 0   # the functional device has no clock


KINDS = {
    "linear": Layer(name="linear", load=Load(channels=(16,), height=7, width=1, axis="channel",
                                             order=4),
                    multiply=Multiply(op="linear", out_channels=9, bits=8), timesteps=2),
    "two sources": replace(LAYER, store=Store()),
    "one pass of 8 bits": replace(LAYER, load=replace(LAYER.load, bits=8)),
    "residual added": LAYER,
    "residual subtracted": replace(LAYER, store=Store(residual="subtract")),
    "row scale": MIX,
    "upsampled": replace(LAYER, load=replace(LAYER.load, upsample=2, order=3)),
    "strided": replace(LAYER, multiply=replace(LAYER.multiply, stride=2)),
    "free bounds": replace(LAYER, load=replace(LAYER.load, ranged=True)),
    "2-bit weights": replace(LAYER, multiply=replace(LAYER.multiply, bits=2)),
}


@pytest.mark.parametrize("name", ["n4", "n8"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer(name, kind):
    """Each on one device after the other, whatever the one before has left in memory."""
    config, layer = config_by_name(name), KINDS[kind]
    driver = device(config)
    for timestep in range(layer.timesteps):
        check(driver, layer, timestep, seed=timestep + 3)


@pytest.mark.parametrize("name", ["n4", "n8", "n16"])
@pytest.mark.parametrize("seed", range(25))
def test_random_layers(name, seed):
    config, rng = config_by_name(name), random.Random(seed)
    layer = random_layer(rng, config)
    check(device(config), layer, rng.randrange(layer.timesteps), seed)


def test_load_shift_of_one_folds_to_zero():
    layer = Layer(name="up", load=Load(channels=(4,), height=2, width=2, upsample=2,
                                       axis="width", order=1),
                  multiply=Multiply(op="conv1x1", out_channels=4))
    parameters, sources, _ = operands(layer, 0)
    parameters.load_shift[0], parameters.load_multiplier[0] = 1, 1
    sources = [Carrier((sources[0].values % 8).to(torch.int16), sources[0].exponent)]
    wanted = run_layer(layer, parameters, sources, 0)
    got, _ = prepare(device(), layer, parameters).run(sources, 0)
    assert torch.equal(got.values, wanted.values)


def test_one_upload_serves_all_timesteps():
    driver = device()
    parameters, _, _ = operands(LAYER, 0)
    prepared = prepare(driver, LAYER, parameters)
    for timestep in range(LAYER.timesteps):
        generator = torch.Generator().manual_seed(timestep)
        sources, second = random_sources(LAYER, parameters, timestep, generator)
        wanted = run_layer(LAYER, parameters, sources, timestep, second)
        assert torch.equal(prepared.run(sources, timestep, second)[0].values, wanted.values)


def test_two_layers_side_by_side():
    driver, base, layers = device(), 0, []
    for seed in (1, 2):
        program = compile_layer(LAYER, operands(LAYER, 1, seed)[0], CONFIG, memory_base=base)
        assert min(address for _, address, _ in program.places) >= base
        layers.append(DeviceLayer(driver, program))
        base = program.end
    for seed, layer in zip((1, 2), layers, strict=True):
        parameters, sources, second = operands(LAYER, 1, seed)
        wanted = run_layer(LAYER, parameters, sources, 1, second)
        assert torch.equal(layer.run(sources, 1, second)[0].values, wanted.values)


@pytest.mark.parametrize("ranged", [False, True])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_bounds_of_every_width(bits, ranged):
    if bits < 8 or not ranged:
        load = replace(LAYER.load, bits=bits, ranged=ranged)
        for seed in range(4):
            check(device(), replace(LAYER, load=load), 1, seed)


def test_bad_operands():
    parameters, sources, second = operands(LAYER, 0)
    prepared = prepare(device(), LAYER, parameters)
    with pytest.raises(ValueError, match="source"):
        prepared.run(sources[:1], 0, second)
    with pytest.raises(ValueError, match="exponent"):
        prepared.run([Carrier(s.values, s.exponent + 1) for s in sources], 0, second)
    with pytest.raises(ValueError, match="second"):
        prepared.run(sources, 0)
    batched = [Carrier(s.values[None], s.exponent) for s in sources]
    with pytest.raises(ValueError, match=r"wanted carriers \(C, H, W\), got \(1, 6, 4, 4\)"):
        prepared.run(batched, 0, Carrier(second.values[None], second.exponent))


def test_row_factors_are_in_every_channel_of_the_second_operand():
    driver, generator = device(), torch.Generator().manual_seed(1)
    parameters = random_parameters(MIX, generator)
    sources, second = random_sources(MIX, parameters, 1, generator)
    factors = random_factors(MIX, generator)
    prepared = prepare(driver, MIX, parameters)
    got, _ = prepared.run(sources, 1, second, factors)
    assert torch.equal(got.values, run_layer(MIX, parameters, sources, 1, None, factors).values)
    program = prepared.program
    assert program.descriptor.row_scale == 1 and program.descriptor.residual == 0
    assert program.second == program.descriptor.second > 0
    image = driver.transport.read_memory(program.second, program.output_bytes)
    lanes = unpack_activation(image, 5, 6, 1, CONFIG.n)
    assert all(torch.equal(lane, factors) for lane in lanes)


def test_factors_exactly_for_a_row_scale():
    parameters, sources, _ = operands(MIX, 0)
    with pytest.raises(ValueError, match=r"mix: wanted row factors \(row scale True\), got none"):
        prepare(device(), MIX, parameters).run(sources, 0)


def test_weights_written_before_the_run():
    """A head's weights are an operand: what was uploaded no longer counts."""
    layer = KINDS["linear"]
    parameters, sources, _ = operands(layer, 0)
    prepared = prepare(device(), layer, parameters)
    other = random_parameters(layer, torch.Generator().manual_seed(9)).weights
    prepared.write(Operands(sources=sources, weights=other))
    prepared.execute(0)
    wanted = run_layer(layer, replace(parameters, weights=other), sources, 0)
    assert torch.equal(prepared.stored(), wanted.values)
    assert not torch.equal(wanted.values, run_layer(layer, parameters, sources, 0).values)


def test_a_fault_keeps_its_kind_and_names_its_layer():
    parameters, sources, second = operands(LAYER, 0)
    prepared = prepare(device(), LAYER, parameters)
    prepared.driver.transport.write_memory(prepared.program.descriptor_address, b"NOPE")
    with pytest.raises(DeviceFault, match=r"^small: the device ended the layer with BAD_DESC") as e:
        prepared.run(sources, 0, second)
    assert e.value.fault is Fault.BAD_DESCRIPTOR
    assert e.value.address == prepared.program.descriptor_address


def test_no_end_names_its_layer(monkeypatch):
    parameters, sources, second = operands(LAYER, 0)
    prepared = prepare(device(), LAYER, parameters)
    monkeypatch.setattr(prepared.driver, "start", lambda *arguments: None)
    with pytest.raises(TimeoutError, match=r"^small: no interrupt in \d+ cycles"):
        prepared.run(sources, 0, second)
