"""The driver: prepares layers in device memory, runs them and raises faults by name."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from hqdm.firmware.compile.packing import pack_activation, unpack_activation
from hqdm.firmware.compile.program import Allocator, Program, compile_layer
from hqdm.firmware.device.transport import Transport
from hqdm.golden.carrier import Carrier
from hqdm.golden.layer import check_inputs
from hqdm.golden.parameters import Parameters
from hqdm.spec.config import PRESETS, Config
from hqdm.spec.layer import Layer
from hqdm.spec.registers import ADDRESS, COUNTERS, IDENTITY, Control, Fault, Status

RESET_POLLS = 100_000   # status reads until a soft reset is given up
_OCCUPIED = 1 << Status.BUSY | 1 << Status.DRAINING
SLOWEST = 200           # a layer may take this many times its estimate before wait gives up


class DeviceError(RuntimeError):
    """The device is not what the driver expects, or did not answer."""


class ConfigMismatch(DeviceError):
    """The core was generated from another configuration."""


class DeviceFault(DeviceError):
    """A layer ended with a fault.

    Members
    -------
    fault: hqdm.spec.registers.Fault.
    address: what `fault_address` says, see Fault.
    """

    def __init__(self, fault: Fault, address: int) -> None:
        super().__init__(f"the device ended the layer with {fault.name} at {address:#x}")
        self.fault = fault
        self.address = address


def _known(register: str, value: int) -> str:
    """What a wrong value of an identifying register says, in words."""
    if register == "config_hash":
        names = [c.name for c in PRESETS.values() if c.hash == value]
        return f", which is {names[0]}" if names else ", of no preset of this version"
    if value in (0, 0xFFFFFFFF):
        return ": nothing answers there, see docs/linux.md"
    return ", which is no HQDM core"


@dataclass(frozen=True)
class LayerResult:
    """Output of one run and the performance counters by name."""

    output: Carrier
    counters: dict[str, int]

    @property
    def cycles(self) -> int:
        return self.counters["cycles"]


class Prepared:
    """A layer whose program and parameters are in device memory; runs at any timestep."""

    def __init__(self, driver: "Driver", program: Program, parameters: Parameters) -> None:
        self.driver = driver
        self.program = program
        self.parameters = parameters

    def _check(
        self, sources: Sequence[Carrier], timestep: int, second: Carrier | None,
        row_factors: Tensor | None,
    ) -> None:
        layer = self.program.layer
        check_inputs(layer, self.parameters, sources, timestep, second, row_factors)
        if sources[0].batch:
            raise ValueError(
                f"{layer.name}: wanted carriers (C, H, W), got {tuple(sources[0].values.shape)}")

    def run(
        self, sources: Sequence[Carrier], timestep: int, second: Carrier | None = None,
        row_factors: Tensor | None = None,
    ) -> LayerResult:
        """Run the layer once.

        Parameters
        ----------
        sources: one carrier (C, H, W) per source.
        second: carrier of the output's shape if the layer has a residual.
        row_factors: int16 (H', W') if the layer has a row scale.

        Raises
        ------
        ValueError, TypeError: operands or timestep that do not match the layer.
        DeviceFault: the device ended the layer.  TimeoutError: it did not end at all.
        """
        self._check(sources, timestep, second, row_factors)
        self.write_operands(sources, second, row_factors)
        program, layer = self.program, self.program.layer
        counters = self.driver.execute(
            program.descriptor_address, timestep, SLOWEST * program.plan.cycles)
        image = self.driver.transport.read_memory(program.output, program.output_bytes)
        values = unpack_activation(image, layer.multiply.out_channels, layer.out_height,
                                   layer.out_width, program.config.n)
        exponent = int(self.parameters.output_exponent[timestep])
        return LayerResult(Carrier(values, exponent), counters)

    def write_operands(self, sources: Sequence[Carrier], second: Carrier | None = None,
                       row_factors: Tensor | None = None) -> None:
        """Write the (checked) operands of a run to device memory."""
        program, transport = self.program, self.driver.transport
        for address, source in zip(program.sources, sources, strict=True):
            transport.write_memory(address, pack_activation(source.values, program.config.n))
        if second is not None:
            transport.write_memory(
                program.second, pack_activation(second.values, program.config.n))
        if row_factors is not None:
            lanes = row_factors.expand(program.layer.multiply.out_channels, -1, -1)
            transport.write_memory(program.second, pack_activation(lanes, program.config.n))


class Driver:
    """Runs layers on a device.

    Parameters
    ----------
    transport: access to the device.
    config: what the core was generated from.
    watchdog: cycles without progress before WATCHDOG; None keeps the reset value, 0 is off.

    Raises
    ------
    ConfigMismatch: not an HQDM core, or one of another configuration.
    ValueError: memory that the addresses of the configuration do not reach.
    """

    def __init__(self, transport: Transport, config: Config, watchdog: int | None = None) -> None:
        self.transport = transport
        self.config = config
        self._expect("identity", IDENTITY)
        self._expect("config_hash", config.hash)
        end = transport.memory_base + transport.memory_bytes
        if transport.memory_base and end > 1 << config.address_bits:
            raise ValueError(f"memory: wanted an end within {config.address_bits} address bits of "
                             f"{config.name}, got {transport.memory_bytes} bytes at "
                             f"{transport.memory_base:#x}")
        if watchdog is not None:
            self.write("watchdog", watchdog)
        self.write("irq_enable", 1)

    def _expect(self, register: str, wanted: int) -> None:
        got = self.read(register)
        if got != wanted:
            raise ConfigMismatch(
                f"{register}: wanted {wanted:#010x} for {self.config.name}, got {got:#010x}"
                f"{_known(register, got)}")

    def read(self, register: str) -> int:
        """Value of a register by name."""
        return self.transport.read_register(ADDRESS[register])

    def write(self, register: str, value: int) -> None:
        """Write a register by name."""
        self.transport.write_register(ADDRESS[register], value)

    def allocator(self) -> Allocator:
        """A fresh allocator over all of the device memory."""
        transport = self.transport
        return Allocator(transport.memory_bytes, self.config.burst_bytes, transport.memory_base)

    def upload(self, program: Program, parameters: Parameters) -> Prepared:
        """Write a compiled program to device memory."""
        for address, image in program.pieces:
            self.transport.write_memory(address, image)
        return Prepared(self, program, parameters)

    def prepare(
        self, layer: Layer, parameters: Parameters, allocator: Allocator | None = None,
    ) -> Prepared:
        """Compile and upload `layer`; an `allocator` places several layers side by side."""
        program = compile_layer(layer, parameters, self.config, allocator or self.allocator())
        return self.upload(program, parameters)

    def run_layer(
        self, layer: Layer, parameters: Parameters, sources: Sequence[Carrier], timestep: int,
        second: Carrier | None = None, row_factors: Tensor | None = None,
    ) -> LayerResult:
        """`prepare` and `Prepared.run` in one call."""
        return self.prepare(layer, parameters).run(sources, timestep, second, row_factors)

    def start(self, descriptor_address: int, timestep: int) -> None:
        """Start the layer at `descriptor_address` and return at once.

        Raises
        ------
        DeviceError: the device still runs, or drains after a fault: `soft_reset` it first.
        """
        status = self.read("status")
        if status & _OCCUPIED:
            raise DeviceError(f"start: wanted an idle device, got status {status:#x}")
        self.write("irq_status", 1)
        self.write("descriptor_low", descriptor_address & 0xFFFFFFFF)
        self.write("descriptor_high", descriptor_address >> 32)
        self.write("timestep", timestep)
        self.write("control", 1 << Control.START)

    def finish(self, timeout_cycles: int) -> dict[str, int]:
        """Wait for the end of the layer; the counters by name.

        Raises
        ------
        DeviceFault: the layer ended with a fault.  TimeoutError: it did not end in time.
        """
        self.transport.wait(timeout_cycles)
        self.write("irq_status", 1)
        status = self.read("status")
        if status >> Status.FAULT & 1:
            low, high = self.read("fault_address_low"), self.read("fault_address_high")
            raise DeviceFault(Fault(self.read("fault_code")), low | high << 32)
        if not status >> Status.DONE & 1:
            raise DeviceError(f"interrupt: wanted the status bit done, got status {status:#x}")
        return {name: self.read(name) for name, _ in COUNTERS}

    def execute(
        self, descriptor_address: int, timestep: int, timeout_cycles: int,
    ) -> dict[str, int]:
        """`start` and `finish`; the wait also covers a watchdog that is about to bite."""
        self.start(descriptor_address, timestep)
        return self.finish(timeout_cycles + 4 * self.read("watchdog"))

    def soft_reset(self) -> None:
        """Abandon whatever runs; return once the device is idle, DeviceError if it stays busy."""
        self.write("control", 1 << Control.SOFT_RESET)
        for _ in range(RESET_POLLS):
            status = self.read("status")
            if not status & _OCCUPIED:
                self.write("irq_status", 1)
                return
        raise DeviceError(f"soft reset: wanted an idle device, got status {status:#x}")
