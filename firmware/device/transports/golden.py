"""A functional device: reads descriptors, tables and weights from memory, computes with golden.

It proves driver and packing without RTL: nothing but registers and memory crosses the border.
"""

import mmap
from collections.abc import Callable

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
from hqdm.spec.descriptor import (
    DESCRIPTOR_BYTES,
    FIELDS,
    MAGIC,
    STEP_BYTES,
    STEP_FIELDS,
    Field,
    unpack,
)
from hqdm.spec.fixed import MAX_ORDER, MAX_SHIFT, RESIDUAL_SHIFT, quantised_magnitude, symmetric_max
from hqdm.spec.layer import Layer, Load, Multiply, Residual, Store
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
from hqdm.spec.stages import StoreStages

_FIELD = {f.name: f for f in FIELDS}
_STEP_FIELD = {f.name: f for f in STEP_FIELDS}
_RESIDUALS: tuple[Residual, ...] = ("none", "add", "subtract")
_NONZERO = ("height", "width", "out_height", "out_width", "words0", "out_words", "tile_rows",
            "chunk_words", "chunks", "plane_words", "timesteps")
_ADDRESSES = ("source0", "source1", "weights", "multipliers", "steps", "second", "output")
_CHECKS: dict[str, Callable[[int], bool]] = {
    "order": lambda v: v <= MAX_ORDER,
    "act_nibbles": lambda v: v in (1, 2),
    "weight_bits": lambda v: v in (2, 3, 4),
    "weight_nibbles": lambda v: v in (1, 2),
    "residual": lambda v: v <= 2,
    "kernel": lambda v: v in (1, 3),
    "stride": lambda v: v in (1, 2),
    "channel_shift": lambda v: v <= MAX_SHIFT,
} | dict.fromkeys(_NONZERO, lambda v: v != 0)


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
        fields = unpack(FIELDS, self._fetch(at, DESCRIPTOR_BYTES, Fault.STORE_READ_DECERR))
        self._check_descriptor(at, fields)
        timestep = self._registers[ADDRESS["timestep"]]
        if timestep >= fields["timesteps"]:
            raise _Refused(Fault.TIMESTEP, _word_address(at, _FIELD["timesteps"]))
        entry = fields["steps"] + STEP_BYTES * timestep
        step = unpack(STEP_FIELDS, self._fetch(entry, STEP_BYTES, Fault.STORE_READ_DECERR))
        most = symmetric_max(8) if fields["act_nibbles"] == 2 else quantised_magnitude(4, True)
        for name in ("low", "high"):
            if step[name] > most:
                raise _Refused(Fault.BAD_DESCRIPTOR, _word_address(entry, _STEP_FIELD[name]))
        try:
            layer = _layer(fields, step, self.config.n)
        except ValueError as error:     # legal field by field, yet no layer
            raise _Refused(Fault.BAD_DESCRIPTOR, at) from error
        sources = self._sources(fields)
        parameters = self._parameters(layer, fields, step)
        second = factors = None
        if fields["residual"]:
            second = Carrier(self._second(fields), int(parameters.residual_shift[0]))
        if fields["row_scale"]:
            factors = self._second(fields)[0]       # the same in every channel
        output = run_layer(layer, parameters, sources, 0, second, factors)
        image = pack_activation(output.values, self.config.n)
        self._fetch(fields["output"], len(image), Fault.STORE_WRITE_DECERR)
        self._memory[self._span(fields["output"], len(image))] = image

    def _check_descriptor(self, at: int, fields: dict[str, int]) -> None:
        if fields["magic"] != MAGIC:
            raise _Refused(Fault.BAD_DESCRIPTOR, at)
        if fields["config_hash"] != self.config.hash:
            raise _Refused(Fault.CONFIG_MISMATCH, _word_address(at, _FIELD["config_hash"]))
        limit = 1 << self.config.address_bits
        for field in FIELDS:
            value, check = fields[field.name], _CHECKS.get(field.name)
            bad = check is not None and not check(value)
            if field.name == "row_scale":
                bad = bool(value and fields["residual"])
            if field.name in _ADDRESSES:
                bad = value >= limit or value % self.config.word_bytes != 0
            if bad:
                raise _Refused(Fault.BAD_DESCRIPTOR, _word_address(at, field))

    def _sources(self, fields: dict[str, int]) -> list[Carrier]:
        names = ["0", "1"] if fields["words1"] else ["0"]
        height, width, n = fields["height"], fields["width"], self.config.n
        carriers = []
        for i in names:
            length = height * fields[f"row_bytes{i}"]
            image = self._fetch(fields[f"source{i}"], length, Fault.LOAD_DECERR)
            values = unpack_activation(image, fields[f"words{i}"] * n, height, width, n)
            carriers.append(Carrier(values, 0))
        return carriers

    def _second(self, fields: dict[str, int]) -> torch.Tensor:
        n, height, width = self.config.n, fields["out_height"], fields["out_width"]
        words = fields["out_words"]
        length = height * width * words * self.config.word_bytes
        image = self._fetch(fields["second"], length, Fault.STORE_READ_DECERR)
        return unpack_activation(image, words * n, height, width, n)

    def _parameters(self, layer: Layer, fields: dict[str, int], step: dict[str, int]) -> Parameters:
        """Parameters of one timestep, read back from memory."""
        words = fields["words0"] + fields["words1"]
        shape = (fields["out_words"], words, fields["kernel"], fields["weight_bits"],
                 fields["weight_nibbles"], self.config.n)
        weights = self._fetch(
            fields["weights"], weight_stream_bytes(*shape), Fault.WEIGHT_DECERR)
        vector = fields["out_words"] * self.config.word_bytes
        multipliers, bias = (
            unpack_vector(self._fetch(address, vector, Fault.STORE_READ_DECERR), dtype)
            for address, dtype in ((fields["multipliers"], "<u2"), (step["bias"], "<i2")))
        folded = _folded(fields)
        zero = torch.zeros(1, dtype=torch.int64)
        return Parameters(
            weights=unpack_weights(weights, *shape),
            load_multiplier=zero + step["load_multiplier"],
            load_shift=zero + step["load_shift"] + folded,
            load_low=zero - step["low"], load_high=zero + step["high"],
            multipliers=multipliers.clamp(min=1),   # the padding has zero sums and any M
            channel_shift=fields["channel_shift"],
            step_multiplier=zero + step["step_multiplier"],
            step_shift=zero + step["step_shift"],
            bias=bias.to(torch.int16).unsqueeze(0),     # (O) -> (T = 1, O)
            residual_shift=zero + step["residual_shift"] - RESIDUAL_SHIFT,
            source_exponent=zero, output_exponent=zero)


def _word_address(at: int, field: Field) -> int:
    return at + 4 * field.word


def _folded(fields: dict[str, int]) -> int:
    """1 if the driver folded upsampling into a rotation along the width."""
    return fields["axis"] & fields["upsample"]


def _layer(fields: dict[str, int], step: dict[str, int], n: int) -> Layer:
    """The layer of one timestep a checked descriptor describes, on padded channels."""
    channels = tuple(fields[w] * n for w in ("words0", "words1") if fields[w])
    order = fields["order"] + _folded(fields)
    bits, ranged = 8, False
    if fields["act_nibbles"] == 1:
        bits, ranged = _act_bits(step["low"], step["high"])
    load = Load(
        channels=channels, height=fields["height"], width=fields["width"],
        upsample=1 + fields["upsample"],
        axis=("width" if fields["axis"] else "channel") if order else "none", order=order,
        bits=bits, ranged=ranged)
    multiply = Multiply(
        op="conv3x3" if fields["kernel"] == 3 else "conv1x1",
        out_channels=fields["out_words"] * n, stride=fields["stride"],
        padding=fields["padding"],
        bits=8 if fields["weight_nibbles"] == 2 else fields["weight_bits"])
    return Layer(name="device", load=load, multiply=multiply,
                 store=Store(residual=_RESIDUALS[fields["residual"]],
                             stages=StoreStages(row_scale=bool(fields["row_scale"]))))


def _act_bits(low: int, high: int) -> tuple[int, bool]:
    """The narrowest (bits, ranged) that has these bounds -low and high."""
    for bits in (2, 3, 4):
        if low == high == symmetric_max(bits):
            return bits, False
        if low + high <= quantised_magnitude(bits, True):
            return bits, True
    raise ValueError(f"bounds: wanted at most 16 levels, got -{low}..{high}")
