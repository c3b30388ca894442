"""A Verilated core and its memory as a Python object; the inner loop is C++."""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hqdm.sim.runtime.build import build
from hqdm.spec.config import Config

PORTS = ("load", "weight", "store")
CHANNELS = ("ar", "r", "aw", "w", "b")
REGISTER_TIMEOUT = 1000     # cycles a register access may take
MAX_MEMORY = 1 << 48        # bytes: no machine has so many, and 64 bits hold it
FALLIBLE = ("create", "destroy", "reset", "run", "write", "read", "inject")     # see harness.cpp


class Response(IntEnum):
    """AXI error responses."""

    SLVERR = 2
    DECERR = 3


@dataclass(frozen=True, kw_only=True)
class MemoryModel:
    """How the memory answers.

    Parameters
    ----------
    latency: cycles from an address handshake to the first data beat, and from the last write
        beat to its response: one number, or (min, max) for a uniformly random one.
    bandwidth: bytes per cycle all ports share; None is one beat per cycle on each port.
    outstanding: bursts each port accepts ahead; 0 is unlimited.
    stall: probability, in thousandths, that a channel (`ar r aw w b`) stalls in a cycle; a
        number means all channels. 1000 never answers.
    seed: of every random choice.

    Raises
    ------
    ValueError: a parameter outside its range.
    """

    latency: int | tuple[int, int] = 1
    bandwidth: Fraction | int | None = None
    outstanding: int = 0
    stall: int | Mapping[str, int] = field(default_factory=dict)
    seed: int = 1

    def __post_init__(self) -> None:
        low, high = self.latency_range
        if not 1 <= low <= high:
            raise ValueError(f"latency: wanted 1 <= min <= max, got {self.latency}")
        if self.bandwidth is not None and self.bandwidth <= 0:
            raise ValueError(f"bandwidth: wanted more than 0 bytes per cycle, got {self.bandwidth}")
        if self.outstanding < 0:
            raise ValueError(f"outstanding: wanted 0 or more, got {self.outstanding}")
        for channel, value in self.stalls.items():
            if channel not in CHANNELS:
                raise ValueError(f"stall: wanted channels {', '.join(CHANNELS)}, got {channel!r}")
            if not 0 <= value <= 1000:
                raise ValueError(f"stall {channel}: wanted 0..1000 thousandths, got {value}")

    @property
    def latency_range(self) -> tuple[int, int]:
        """Smallest and largest latency."""
        return (self.latency, self.latency) if isinstance(self.latency, int) else self.latency

    @property
    def stalls(self) -> dict[str, int]:
        """Stall probability of every channel that has one."""
        if isinstance(self.stall, int):
            return dict.fromkeys(CHANNELS, self.stall)
        return dict(self.stall)


@dataclass(frozen=True)
class Traffic:
    """What a port and direction has moved since the device was made, and what is in flight."""

    bursts: int
    beats: int
    pending: int


def _load_library(path: Path) -> Any:
    library = ctypes.CDLL(str(path))
    handle, u32, u64, i32 = ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "create": (handle, [u64]), "destroy": (None, [handle]),
        "memory": (ctypes.POINTER(ctypes.c_uint8), [handle]), "bus_bytes": (u32, []),
        "reset": (None, [handle, u32]), "cycle": (u64, [handle]), "interrupt": (i32, [handle]),
        "run": (u64, [handle, u64, i32]), "write": (i32, [handle, u32, u32, u32]),
        "read": (i32, [handle, u32, ctypes.POINTER(u32), u32]),
        "configure": (None, [handle, u32, i32, u64, u64, u32, ctypes.POINTER(u32)]),
        "bandwidth": (None, [handle, u64, u64]), "seed": (None, [handle, u64]),
        "inject": (None, [handle, u32, i32, u64, u64, u32]), "clear_faults": (None, [handle]),
        "statistics": (None, [handle, u32, i32, ctypes.POINTER(u64)]),
        "violations": (u64, [handle]), "violation": (ctypes.c_char_p, [handle, u64]),
    }
    library.hqdm_error.restype = ctypes.c_char_p

    def checked(result: Any, function: Any, arguments: tuple[Any, ...]) -> Any:
        """The result, or what the library says that it could not do."""
        failure = library.hqdm_error()
        if failure:
            raise RuntimeError(f"simulation: {failure.decode(errors='replace')}")
        return result

    for name, (result, arguments) in signatures.items():
        function = getattr(library, f"hqdm_{name}")
        function.restype, function.argtypes = result, arguments
        if name in FALLIBLE:
            function.errcheck = checked
    return library


class Device:
    """One core with `memory_bytes` of memory at address 0. Several may live in a process.

    Parameters
    ----------
    library: shared library made by `hqdm.sim.runtime.build`; `Device.of(config, ...)` builds it.
    memory_bytes: size of the memory; an access beyond it answers DECERR.
    model: how the memory answers; may be changed later with `set_model`.

    Members
    -------
    memory: numpy uint8 view of the whole memory, shared with the simulation (no copy).
    bus_bytes: bytes of one AXI beat.

    Raises
    ------
    ValueError: a size of memory that there is none of.
    RuntimeError: the machine has not so much memory, or the simulation failed.
    """

    _handle: Any = None

    def __init__(self, library: Path, memory_bytes: int, model: MemoryModel | None = None):
        if not 1 <= memory_bytes <= MAX_MEMORY:
            wanted = "1 or more" if memory_bytes < 1 else f"at most {MAX_MEMORY}"
            raise ValueError(f"memory_bytes: wanted {wanted}, got {memory_bytes}")
        self._library = _load_library(library)
        try:
            self._handle = self._library.hqdm_create(memory_bytes)
        except RuntimeError as error:
            raise RuntimeError(f"memory of {memory_bytes} bytes: {error}") from error
        self.bus_bytes: int = self._library.hqdm_bus_bytes()
        self.memory = np.ctypeslib.as_array(self._library.hqdm_memory(self._handle),
                                            shape=(memory_bytes,))
        self.set_model(model or MemoryModel())
        self.reset()

    @classmethod
    def of(cls, config: Config, memory_bytes: int, model: MemoryModel | None = None,
           cache: Path | None = None) -> "Device":
        """Device for `config`; builds the library on first use (up to two minutes)."""
        return cls(build(config, cache), memory_bytes, model)

    def close(self) -> None:
        """Free the simulation; `memory` must not be used any more."""
        if self._handle is not None:
            self._library.hqdm_destroy(self._handle)
            self._handle = None

    def __enter__(self) -> "Device":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def set_model(self, model: MemoryModel, ports: tuple[str, ...] = PORTS) -> None:
        """Let `ports` answer as `model` says; bandwidth and seed are shared by all ports."""
        low, high = model.latency_range
        stall = (ctypes.c_uint * 5)(*(model.stalls.get(c, 0) for c in CHANNELS))
        for port in ports:
            for write in (False, True) if port == "store" else (False,):
                self._library.hqdm_configure(self._handle, self._port(port, write), write, low,
                                             high, model.outstanding, stall)
        rate = Fraction(model.bandwidth or 0)
        self._library.hqdm_bandwidth(self._handle, rate.numerator, rate.denominator)
        self._library.hqdm_seed(self._handle, model.seed)

    def reset(self, cycles: int = 4) -> None:
        """Hold `aresetn` low for `cycles` cycles; transactions in flight are forgotten."""
        self._library.hqdm_reset(self._handle, cycles)

    @property
    def cycle(self) -> int:
        """Clock cycles since the device was made."""
        return self._library.hqdm_cycle(self._handle)

    @property
    def interrupt(self) -> bool:
        """Level of the interrupt pin."""
        return bool(self._library.hqdm_interrupt(self._handle))

    def run(self, cycles: int, until_interrupt: bool = True) -> int:
        """Run until the interrupt is high, or for `cycles` cycles; returns the cycles run."""
        return self._library.hqdm_run(self._handle, cycles, until_interrupt)

    def write_register(self, address: int, value: int) -> None:
        """Write a 32-bit register over AXI4-Lite."""
        self._check(self._library.hqdm_write(self._handle, address, value, REGISTER_TIMEOUT),
                    f"write of register 0x{address:02x}")

    def read_register(self, address: int) -> int:
        """Read a 32-bit register over AXI4-Lite."""
        value = ctypes.c_uint()
        self._check(self._library.hqdm_read(self._handle, address, ctypes.byref(value),
                                            REGISTER_TIMEOUT), f"read of register 0x{address:02x}")
        return value.value

    def inject(self, port: str, direction: Literal["read", "write"], start: int, end: int,
               response: Response) -> None:
        """Answer accesses of `port` to bytes [start, end) with `response`."""
        write = direction == "write"
        self._library.hqdm_inject(self._handle, self._port(port, write), write, start, end,
                                  response)

    def clear_faults(self) -> None:
        """Forget all injected errors."""
        self._library.hqdm_clear_faults(self._handle)

    def traffic(self, port: str, direction: Literal["read", "write"] = "read") -> Traffic:
        """What `port` has moved."""
        values = (ctypes.c_uint64 * 3)()
        write = direction == "write"
        self._library.hqdm_statistics(self._handle, self._port(port, write), write, values)
        return Traffic(*values)

    def violations(self) -> list[str]:
        """AXI rules the core has broken so far (the first hundred)."""
        count = self._library.hqdm_violations(self._handle)
        return [self._library.hqdm_violation(self._handle, i).decode() for i in range(count)]

    @staticmethod
    def _port(port: str, write: bool) -> int:
        if port not in PORTS or (write and port != "store"):
            wanted = "store" if write else ", ".join(PORTS)
            raise ValueError(f"port: wanted {wanted}, got {port!r}")
        return PORTS.index(port)

    @staticmethod
    def _check(response: int, what: str) -> None:
        if response < 0:
            raise TimeoutError(f"{what}: no answer in {REGISTER_TIMEOUT} cycles")
        if response:
            raise OSError(f"{what}: wanted response 0, got {response}")
