"""Every fault in the Verilated core: raised by name and address, then a correct layer."""

from collections.abc import Iterator
from dataclasses import asdict, replace

import pytest
import torch

from hqdm.firmware.compile.program import LayerProgram
from hqdm.firmware.device import layer as device_layer
from hqdm.firmware.device.driver import DeviceError, DeviceFault, Driver
from hqdm.sim.compare_layer import Case, make_layer, random_case
from hqdm.sim.runtime.device import MemoryModel, Response
from hqdm.sim.transport import VerilatedTransport
from hqdm.spec import config_by_name
from hqdm.spec.descriptor import FIELD, MAGIC, STEP_BYTES
from hqdm.spec.registers import Fault, Status

CONFIG = config_by_name("n4")
MEMORY = 1 << 20
NORMAL = MemoryModel(latency=(1, 30), stall=100)
BLACK_HOLE = MemoryModel(stall=1000)
BURST_BYTES = 16 * CONFIG.bus_bytes
TIMEOUT = 200_000
CASE = random_case(make_layer(
    op="conv3x3", channels=(12, 8), out_channels=10, height=8, width=8, axis="width", order=3,
    weight_bits=8, residual="add", timesteps=3), timestep=1, seed=5)


@pytest.fixture(scope="module")
def shared() -> Iterator[VerilatedTransport]:
    with VerilatedTransport(CONFIG, MEMORY, NORMAL) as transport:
        yield transport


@pytest.fixture
def driver(shared: VerilatedTransport) -> Driver:
    """A driver on the one device of this module; whatever a test breaks must be recoverable."""
    shared.device.clear_faults()
    shared.device.set_model(NORMAL)
    return Driver(shared, CONFIG)


def prepare(driver: Driver, case: Case = CASE) -> LayerProgram:
    """A layer with its operands in device memory, not started."""
    prepared = device_layer.prepare(driver, case.layer, case.parameters)
    prepared.write(device_layer.Operands(sources=case.sources, second=case.second))
    return prepared.program


def check_layer(driver: Driver, case: Case = CASE) -> None:
    """A correct layer with everything uploaded anew."""
    output, _ = device_layer.prepare(driver, case.layer, case.parameters).run(
        case.sources, case.timestep, case.second)
    assert torch.equal(output.values, case.golden().values)


def expect_fault(driver: Driver, descriptor: int, timestep: int = CASE.timestep) -> DeviceFault:
    """Run into a fault, recover by a soft reset, run a correct layer; returns the fault."""
    transport = driver.transport
    assert isinstance(transport, VerilatedTransport)
    with pytest.raises(DeviceFault) as caught:
        driver.execute(descriptor, timestep, TIMEOUT)
    assert caught.value.fault.name in str(caught.value)
    assert driver.read("fault_code") == caught.value.fault
    transport.device.clear_faults()
    driver.soft_reset()
    assert driver.read("fault_code") == Fault.NONE and driver.read("status") == 0
    for port in ("load", "weight", "store"):
        assert transport.device.traffic(port).pending == 0
    check_layer(driver)
    return caught.value


@pytest.mark.parametrize(("field", "value"), [
    ("magic", MAGIC ^ 1), ("order", 7), ("act_nibbles", 0), ("act_nibbles", 3),
    ("weight_bits", 1), ("weight_bits", 5), ("weight_nibbles", 0), ("weight_nibbles", 3),
    ("residual", 3), ("row_scale", 1), ("kernel", 0), ("kernel", 2), ("stride", 0), ("stride", 3),
    ("channel_shift", 48), ("channel_shift", 63),
    *((name, 0) for name in ("height", "width", "out_height", "out_width", "words0", "out_words",
                             "tile_rows", "chunk_words", "chunks", "plane_words", "timesteps")),
    *((name, value) for name in ("source0", "source1", "weights", "multipliers", "steps",
                                 "second", "output")
      for value in (4, 1 << 32, 1 << 63)),
    ("config_hash", CONFIG.hash ^ 1),
])
def test_illegal_descriptor(driver: Driver, field: str, value: int) -> None:
    program = prepare(driver)
    image = replace(program.descriptor, **{field: value}).encode()
    driver.transport.write_memory(program.descriptor_address, image)
    fault = expect_fault(driver, program.descriptor_address)
    wanted = Fault.CONFIG_MISMATCH if field == "config_hash" else Fault.BAD_DESCRIPTOR
    assert fault.fault is wanted
    assert fault.address == program.descriptor_address + 4 * FIELD[field].word


@pytest.mark.parametrize("timestep", [3, 65535, 65536, (1 << 32) - 1])
def test_timestep_beyond_the_table(driver: Driver, timestep: int) -> None:
    program = prepare(driver)
    fault = expect_fault(driver, program.descriptor_address, timestep)
    assert fault.fault is Fault.TIMESTEP
    assert fault.address == program.descriptor_address + 4 * FIELD["timesteps"].word


@pytest.mark.parametrize("offset", [4, 1 << 32])
def test_descriptor_at_a_bad_address(driver: Driver, offset: int) -> None:
    address = prepare(driver).descriptor_address + offset
    fault = expect_fault(driver, address)
    assert fault.fault is Fault.BAD_DESCRIPTOR and fault.address == address


def regions(program: LayerProgram) -> dict[str, tuple[str, str, int, int]]:
    """What the core reads or writes: port, direction, first byte, byte of the error."""
    fields = asdict(program.descriptor)
    steps = fields["steps"] + STEP_BYTES * CASE.timestep
    bias = program.at.biases + CASE.timestep * CONFIG.words(10) * CONFIG.word_bytes
    later = 5 * BURST_BYTES + CONFIG.bus_bytes
    return {
        "descriptor": ("store", "read", program.descriptor_address, 0),
        "steps": ("store", "read", steps, 0),
        "multipliers": ("store", "read", fields["multipliers"], 0),
        "bias": ("store", "read", bias, 0),
        "second": ("store", "read", fields["second"], 0),
        "source0": ("load", "read", fields["source0"], 0),
        "source0 later": ("load", "read", fields["source0"], later),
        "source1": ("load", "read", fields["source1"], 0),
        "weights": ("weight", "read", fields["weights"], 0),
        "weights later": ("weight", "read", fields["weights"], later),
        "output": ("store", "write", fields["output"], 0),
        "output later": ("store", "write", fields["output"], later),
        "output last": ("store", "write", fields["output"],
                        program.output_bytes - CONFIG.bus_bytes),
    }


@pytest.mark.parametrize("response", list(Response))
@pytest.mark.parametrize("region", [
    "descriptor", "steps", "multipliers", "bias", "second", "source0", "source0 later", "source1",
    "weights", "weights later", "output", "output later", "output last"])
def test_axi_error(
    driver: Driver, shared: VerilatedTransport, region: str, response: Response,
) -> None:
    program = prepare(driver)
    port, direction, base, offset = regions(program)[region]
    at = base + offset
    shared.device.inject(port, "write" if direction == "write" else "read", at,
                         at + CONFIG.bus_bytes, response)
    fault = expect_fault(driver, program.descriptor_address)
    name = f"{port}_{direction}" if port == "store" else port
    assert fault.fault is Fault[f"{name.upper()}_{response.name}"]
    assert fault.address <= at < fault.address + BURST_BYTES


@pytest.mark.parametrize(("field", "fault"), [
    ("source0", Fault.LOAD_DECERR), ("weights", Fault.WEIGHT_DECERR),
    ("steps", Fault.STORE_READ_DECERR), ("output", Fault.STORE_WRITE_DECERR)])
def test_address_beyond_the_memory(driver: Driver, field: str, fault: Fault) -> None:
    program = prepare(driver)
    image = replace(program.descriptor, **{field: 2 * MEMORY}).encode()
    driver.transport.write_memory(program.descriptor_address, image)
    caught = expect_fault(driver, program.descriptor_address)
    assert caught.fault is fault
    assert 2 * MEMORY <= caught.address < 2 * MEMORY + program.output_bytes


@pytest.mark.parametrize(("changes", "fault", "address"), [
    ({"tile_rows": 20, "plane_words": 400}, Fault.ACCUMULATOR_OVERFLOW, CONFIG.acc_words),
    ({"plane_words": CONFIG.buffer_words}, Fault.OPERAND_OVERFLOW, CONFIG.buffer_words),
])
def test_tile_beyond_the_buffers(
    driver: Driver, changes: dict[str, int], fault: Fault, address: int,
) -> None:
    """A descriptor whose tile is larger than the core; the compiler would never make it."""
    large = random_case(make_layer(
        op="conv1x1", channels=(8,), out_channels=4, height=20, width=20), timestep=0, seed=6)
    program = prepare(driver, large)
    assert program.plan.chunk_words == 2
    image = replace(program.descriptor, **changes).encode()
    driver.transport.write_memory(program.descriptor_address, image)
    caught = expect_fault(driver, program.descriptor_address, 0)
    assert caught.fault is fault and caught.address == address


@pytest.mark.parametrize("port", ["load", "weight", "store"])
@pytest.mark.parametrize("progress", [0, 3000])
def test_watchdog(
    driver: Driver, shared: VerilatedTransport, port: str, progress: int,
) -> None:
    """A port that stops answering, at once or in the middle of the layer."""
    program = prepare(driver)
    driver.write("watchdog", 500)
    driver.start(program.descriptor_address, CASE.timestep)
    shared.device.run(progress)
    shared.device.set_model(BLACK_HOLE, (port,))
    with pytest.raises(DeviceFault, match="WATCHDOG"):
        driver.finish(TIMEOUT)
    assert driver.read("status") >> Status.DRAINING & 1     # nothing lets the bus go
    with pytest.raises(DeviceError, match="start: wanted an idle device, got status 0x"):
        driver.start(program.descriptor_address, CASE.timestep)
    shared.device.set_model(NORMAL)
    driver.soft_reset()
    check_layer(driver)


def test_watchdog_can_be_off_and_has_a_reset_value(
    driver: Driver, shared: VerilatedTransport,
) -> None:
    program = prepare(driver)
    driver.write("watchdog", 0)
    shared.device.set_model(BLACK_HOLE, ("weight",))
    with pytest.raises(TimeoutError, match="no interrupt in 5000 cycles"):
        driver.execute(program.descriptor_address, CASE.timestep, 5000)
    shared.device.set_model(NORMAL)
    driver.finish(TIMEOUT)      # the layer goes on when the memory does
    driver.write("watchdog", 100_000)
    check_layer(driver)


@pytest.mark.parametrize("cycles", [1, 3, 20, 60, 120, 250, 500, 1000, 1700, 2500, 4000, 6000])
def test_soft_reset_in_the_middle(
    driver: Driver, shared: VerilatedTransport, cycles: int,
) -> None:
    program = prepare(driver)
    driver.start(program.descriptor_address, CASE.timestep)
    shared.device.run(cycles)
    driver.soft_reset()
    assert driver.read("status") == 0 and not shared.device.interrupt
    check_layer(driver)
    assert not shared.device.violations()


def test_soft_reset_when_idle_and_twice(driver: Driver) -> None:
    driver.soft_reset()
    driver.soft_reset()
    check_layer(driver)
