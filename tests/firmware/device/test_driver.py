"""The driver against the functional device: registers and faults without RTL."""

from dataclasses import replace

import pytest
import torch

from hqdm.firmware.device.driver import ConfigMismatch, DeviceFault, Driver
from hqdm.firmware.device.layer import prepare
from hqdm.firmware.device.transports.golden import GoldenTransport
from hqdm.golden.layer import run_layer
from hqdm.spec import config_by_name
from hqdm.spec.descriptor import FIELD, MAGIC, STEP_BYTES, StepEntry
from hqdm.spec.registers import ADDRESS, IDENTITY, Fault, Status
from tests.firmware.small_layers import CONFIG, LAYER, device, operands


def check(driver, layer, timestep, seed=1):
    parameters, sources, second = operands(layer, timestep, seed)
    wanted = run_layer(layer, parameters, sources, timestep, second)
    got, _ = prepare(driver, layer, parameters).run(sources, timestep, second)
    assert got.exponent == wanted.exponent
    assert torch.equal(got.values, wanted.values)


@pytest.mark.parametrize(("field", "value"), [
    ("magic", MAGIC + 1), ("order", 7), ("act_nibbles", 0), ("act_nibbles", 3),
    ("weight_bits", 1), ("weight_bits", 5), ("weight_nibbles", 0), ("residual", 3),
    ("row_scale", 1), ("kernel", 2), ("stride", 0), ("stride", 3), ("channel_shift", 48),
    ("height", 0), ("width", 0), ("out_height", 0), ("out_width", 0), ("words0", 0),
    ("out_words", 0), ("tile_rows", 0), ("chunk_words", 0), ("chunks", 0), ("plane_words", 0),
    ("timesteps", 0), ("source0", 1 << 32), ("output", 4)])
def test_bad_descriptor(field, value):
    fault = fault_of(field, value)
    assert fault.fault is Fault.BAD_DESCRIPTOR


def fault_of(field, value):
    """Run LAYER with one field changed; the fault, whose address must be that field's word."""
    driver = device()
    parameters, _, _ = operands(LAYER, 1)
    program = prepare(driver, LAYER, parameters).program
    image = replace(program.descriptor, **{field: value}).encode()
    driver.transport.write_memory(program.descriptor_address, image)
    with pytest.raises(DeviceFault) as caught:
        driver.execute(program.descriptor_address, 1, 1000)
    assert caught.value.address == program.descriptor_address + 4 * FIELD[field].word
    assert caught.value.fault.name in str(caught.value)
    driver.soft_reset()
    check(driver, LAYER, 1)
    return caught.value


@pytest.mark.parametrize(("bits", "changes"), [
    (4, {"low": 16}), (4, {"high": 16}), (8, {"low": 120}), (8, {"high": 127})])
def test_bounds_the_quantiser_has_not(bits, changes):
    driver, layer = device(), replace(LAYER, load=replace(LAYER.load, bits=bits))
    parameters, _, _ = operands(layer, 1)
    program = prepare(driver, layer, parameters).program
    entry = program.descriptor.steps + STEP_BYTES
    good = StepEntry.decode(driver.transport.read_memory(entry, STEP_BYTES))
    driver.transport.write_memory(entry, replace(good, **changes).encode())
    with pytest.raises(DeviceFault) as caught:
        driver.execute(program.descriptor_address, 1, 1000)
    assert caught.value.fault is Fault.BAD_DESCRIPTOR and caught.value.address == entry + 12


def test_seventeen_levels_are_no_layer():
    """The core would run them, the compiler never makes them."""
    driver = device()
    program = prepare(driver, LAYER, operands(LAYER, 1)[0]).program
    entry = program.descriptor.steps + STEP_BYTES
    good = StepEntry.decode(driver.transport.read_memory(entry, STEP_BYTES))
    driver.transport.write_memory(entry, replace(good, low=8, high=8).encode())
    with pytest.raises(DeviceFault) as caught:
        driver.execute(program.descriptor_address, 1, 1000)
    assert caught.value.fault is Fault.BAD_DESCRIPTOR


def test_descriptor_of_another_configuration():
    assert fault_of("config_hash", 1).fault is Fault.CONFIG_MISMATCH


@pytest.mark.parametrize(("field", "fault"), [
    ("source0", Fault.LOAD_DECERR), ("source1", Fault.LOAD_DECERR),
    ("weights", Fault.WEIGHT_DECERR), ("multipliers", Fault.STORE_READ_DECERR),
    ("steps", Fault.STORE_READ_DECERR), ("second", Fault.STORE_READ_DECERR),
    ("output", Fault.STORE_WRITE_DECERR)])
def test_addresses_beyond_the_memory(field, fault):
    driver = device()
    program = prepare(driver, LAYER, operands(LAYER, 0)[0]).program
    image = replace(program.descriptor, **{field: 1 << 30}).encode()
    driver.transport.write_memory(program.descriptor_address, image)
    with pytest.raises(DeviceFault) as caught:
        driver.execute(program.descriptor_address, 0, 1000)
    assert caught.value.fault is fault and caught.value.address == 1 << 30


def test_timestep_beyond_the_table():
    driver = device()
    parameters, sources, second = operands(LAYER, 2)
    prepared = prepare(driver, LAYER, parameters)
    with pytest.raises(ValueError, match=r"timestep.*0\.\.2.*3"):
        prepared.run(sources, 3, second)
    with pytest.raises(DeviceFault) as caught:
        driver.execute(prepared.program.descriptor_address, 3, 1000)
    assert caught.value.fault is Fault.TIMESTEP
    word = FIELD["timesteps"].word
    assert caught.value.address == prepared.program.descriptor_address + 4 * word


def test_wrong_device():
    with pytest.raises(ConfigMismatch, match=r"config_hash: wanted 0x[0-9a-f]{8} for n8, got 0x"):
        Driver(GoldenTransport(CONFIG), config_by_name("n8"))


def test_interrupt_that_never_comes():
    with pytest.raises(TimeoutError, match="no interrupt in 5 cycles"):
        device().finish(5)


def test_golden_memory_bounds():
    with pytest.raises(ValueError, match="wanted a range within 64 bytes, got 8 bytes at 0x3c"):
        GoldenTransport(CONFIG, 64).write_memory(60, bytes(8))


class Registers:
    """A core that only has registers, and ends every layer at once with `fault`."""

    memory_base, memory_bytes = 0, 1 << 40

    def __init__(self, fault, address):
        self.values = dict.fromkeys(ADDRESS.values(), 0) | {
            ADDRESS["identity"]: IDENTITY, ADDRESS["config_hash"]: CONFIG.hash}
        self.fault, self.address = fault, address

    def read_register(self, address):
        return self.values[address]

    def write_register(self, address, value):
        assert 0 <= value < 1 << 32
        self.values[address] = value

    def wait(self, timeout_cycles):
        self.values |= {
            ADDRESS["status"]: 1 << Status.FAULT, ADDRESS["fault_code"]: self.fault,
            ADDRESS["fault_address_low"]: self.address & 0xFFFFFFFF,
            ADDRESS["fault_address_high"]: self.address >> 32}


@pytest.mark.parametrize("address", [0x100, 0xFFFFFF00, 1 << 32, 0x1234_5678_9ABC_DE00,
                                     (1 << 64) - 256])
def test_an_address_has_two_words_on_its_way_there_and_back(address):
    registers = Registers(Fault.LOAD_DECERR, address)
    driver = Driver(registers, CONFIG)
    with pytest.raises(DeviceFault, match=f"LOAD_DECERR at {address:#x}$") as caught:
        driver.execute(address, 3, 10)
    assert caught.value.address == address
    assert registers.values[ADDRESS["descriptor_low"]] == address % (1 << 32)
    assert registers.values[ADDRESS["descriptor_high"]] == address >> 32
    assert registers.values[ADDRESS["timestep"]] == 3
