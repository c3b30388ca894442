"""A functional device: reads descriptors, tables and weights from memory, computes with golden.

It proves driver and packing without RTL: nothing but registers and memory crosses the border.
"""

import mmap
from dataclasses import asdict

import torch

from hqdm.firmware.compile.packing import (
    pack_activation,
    unpack_activation,
    unpack_vector,
    unpack_weights,
    weight_stream_bytes,
)
from hqdm.firmware.device.transport import Transport
from hqdm.golden.carrier import Carrier
from hqdm.golden.layer import run_layer
from hqdm.golden.parameters import Parameters
from hqdm.spec.config import Config
from hqdm.spec.descriptor import FIELD, STEP_BYTES, Descriptor, StepEntry
from hqdm.spec.encoding import decode_layer, decode_step
from hqdm.spec.field import Structure
from hqdm.spec.layer import Layer
from hqdm.spec.registers import (
    ADDRESS,
    COUNTERS,
    IDENTITY,
    REGISTERS,
    WATCHDOG_RESET,
    Control,
    Fault,
    Status,
)


class _Refused(Exception):
    def __init__(self, fault: Fault, address: int) -> None:
        super().__init__(fault, address)
        self.fault = fault
        self.address = address


class GoldenTransport(Transport):
    """A device that computes with the golden model; every cycle counter but `cycles` reads 0.

    Parameters
    ----------
    config: configuration of the device.
    memory_bytes: size of its memory.
    memory: what holds it, `memory_bytes` long; None for a fresh one.
    memory_base: address of the first byte.
    """

    def __init__(self, config: Config, memory_bytes: int = 1 << 26,
                 memory: bytearray | mmap.mmap | None = None, memory_base: int = 0) -> None:
        self.config = config
        self.memory_bytes = memory_bytes
        self.memory_base = memory_base
        self._memory = bytearray(memory_bytes) if memory is None else memory
        self._registers = {r.address: 0 for r in REGISTERS}
        self._registers[ADDRESS["identity"]] = IDENTITY
        self._registers[ADDRESS["config_hash"]] = config.hash
        self._registers[ADDRESS["watchdog"]] = WATCHDOG_RESET

    def read_memory(self, address: int, length: int) -> bytes:
        return bytes(self._memory[self._span(address, length)])

    def write_memory(self, address: int, data: bytes) -> None:
        self._memory[self._span(address, len(data))] = data

    def _span(self, address: int, length: int) -> slice:
        self.check_range(address, length)
        at = address - self.memory_base
        return slice(at, at + length)

    def read_register(self, address: int) -> int:
        return self._registers[address]

    def write_register(self, address: int, value: int) -> None:
        register = next(r for r in REGISTERS if r.address == address)
        if register.name == "control":
            self._control(value)
        elif register.access == "w1c":
            self._registers[address] &= ~value
        elif register.access == "rw":
            self._registers[address] = value & 0xFFFFFFFF

    def wait(self, timeout_cycles: int) -> None:
        if not self._registers[ADDRESS["irq_status"]]:
            raise TimeoutError(f"no interrupt in {timeout_cycles} cycles: no layer was started")

    def _set(self, name: str, value: int) -> None:
        self._registers[ADDRESS[name]] = value

    def _control(self, value: int) -> None:
        if value >> Control.SOFT_RESET & 1:
            for name in ("status", "fault_code", "fault_address_low", "fault_address_high",
                         "irq_status"):
                self._set(name, 0)
        elif value >> Control.START & 1:
            self._start()

    def _start(self) -> None:
        low, high = ADDRESS["descriptor_low"], ADDRESS["descriptor_high"]
        for name, _ in COUNTERS:
            self._set(name, 0)
        fault, address = Fault.NONE, 0
        try:
            self._run(self._registers[low] | self._registers[high] << 32)
        except _Refused as refusal:
            fault, address = refusal.fault, refusal.address
        self._set("status", 1 << (Status.FAULT if fault else Status.DONE))
        self._set("fault_code", fault)
        self._set("fault_address_low", address & 0xFFFFFFFF)
        self._set("fault_address_high", address >> 32)
        self._set("irq_status", 1)

    def _fetch(self, address: int, length: int, fault: Fault) -> bytes:
        try:
            return bytes(self._memory[self._span(address, length)])
        except ValueError as error:
            raise _Refused(fault, address) from error

    def _run(self, at: int) -> None:
        d = Descriptor.decode(self._fetch(at, Descriptor.SIZE, Fault.STORE_READ_DECERR))
        self._check(d, at, d)
        timestep = self._registers[ADDRESS["timestep"]]
        if timestep >= d.timesteps:
            raise _Refused(Fault.TIMESTEP, at + 4 * FIELD["timesteps"].word)
        entry = d.steps + STEP_BYTES * timestep
        step = StepEntry.decode(self._fetch(entry, STEP_BYTES, Fault.STORE_READ_DECERR))
        self._check(step, entry, d)
        try:
            layer = decode_layer(d, step, self.config.n)
        except ValueError as error:     # legal field by field, yet no layer
            raise _Refused(Fault.BAD_DESCRIPTOR, at) from error
        sources = self._sources(d)
        parameters = self._parameters(layer, d, step)
        second = factors = None
        if d.residual:
            second = Carrier(self._second(d), int(parameters.residual_shift[0]))
        if d.row_scale:
            factors = self._second(d)[0]        # the same in every channel
        output = run_layer(layer, parameters, sources, 0, second, factors)
        image = pack_activation(output.values, self.config.n)
        self._fetch(d.output, len(image), Fault.STORE_WRITE_DECERR)
        self._memory[self._span(d.output, len(image))] = image

    def _check(self, structure: Structure, at: int, descriptor: Descriptor) -> None:
        """Refuse the first illegal field of what was read at `at`."""
        field = structure.first_illegal(self.config, descriptor)
        if field is not None:
            mismatch = field == FIELD["config_hash"]
            raise _Refused(Fault.CONFIG_MISMATCH if mismatch else Fault.BAD_DESCRIPTOR,
                           at + 4 * field.word)

    def _sources(self, d: Descriptor) -> list[Carrier]:
        sources = [(d.source0, d.words0, d.row_bytes0), (d.source1, d.words1, d.row_bytes1)]
        n, carriers = self.config.n, []
        for address, words, row_bytes in sources[:2 if d.words1 else 1]:
            image = self._fetch(address, d.height * row_bytes, Fault.LOAD_DECERR)
            carriers.append(Carrier(unpack_activation(image, words * n, d.height, d.width, n), 0))
        return carriers

    def _second(self, d: Descriptor) -> torch.Tensor:
        length = d.out_height * d.out_width * d.out_words * self.config.word_bytes
        image = self._fetch(d.second, length, Fault.STORE_READ_DECERR)
        n = self.config.n
        return unpack_activation(image, d.out_words * n, d.out_height, d.out_width, n)

    def _parameters(self, layer: Layer, d: Descriptor, step: StepEntry) -> Parameters:
        """Parameters of one timestep, read back from memory."""
        shape = (d.out_words, d.words0 + d.words1, d.kernel, d.weight_bits, d.weight_nibbles,
                 self.config.n)
        weights = self._fetch(d.weights, weight_stream_bytes(*shape), Fault.WEIGHT_DECERR)
        vector = d.out_words * self.config.word_bytes
        multipliers, bias = (
            unpack_vector(self._fetch(address, vector, Fault.STORE_READ_DECERR), dtype)
            for address, dtype in ((d.multipliers, "<u2"), (step.bias, "<i2")))
        zero = torch.zeros(1, dtype=torch.int64)
        scales = {name: zero + value for name, value in asdict(decode_step(layer, step)).items()}
        return Parameters(
            weights=unpack_weights(weights, *shape),
            multipliers=multipliers.clamp(min=1),   # the padding has zero sums and any M
            channel_shift=d.channel_shift,
            bias=bias.to(torch.int16).unsqueeze(0),     # (O) -> (T = 1, O)
            source_exponent=zero, output_exponent=zero, **scales)
