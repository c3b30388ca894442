"""The driver: registers by name, start and wait, faults by name."""

from hqdm.firmware.device.transport import Transport
from hqdm.spec.config import PRESETS, Config
from hqdm.spec.registers import ADDRESS, COUNTERS, IDENTITY, Control, Fault, Status

RESET_POLLS = 100_000   # status reads until a soft reset is given up
_OCCUPIED = 1 << Status.BUSY | 1 << Status.DRAINING


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


class Driver:
    """Starts layers that are in device memory, and waits for them.

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
