"""Drivers of Amaranth streams (`<port>__payload/valid/ready`) for cocotb block tests."""

import random
from collections.abc import Sequence
from typing import Any

from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

PERIOD_NS = 10


async def start(dut: Any, **inputs: int) -> None:
    """Start `clk`, set `inputs` (port name -> value), and hold `rst` for three cycles."""
    for name, value in inputs.items():
        getattr(dut, name).value = value
    dut.rst.value = 1
    clock = Clock(dut.clk, PERIOD_NS, unit="ns")
    clock.start()
    await clock.cycles(3)
    dut.rst.value = 0
    await RisingEdge(dut.clk)


class StreamPort:
    """The three signals of stream `port` of `dut`."""

    def __init__(self, dut: Any, port: str):
        self.clk = dut.clk
        self.payload = getattr(dut, f"{port}__payload")
        self.valid = getattr(dut, f"{port}__valid")
        self.ready = getattr(dut, f"{port}__ready")


async def send(dut: Any, port: str, values: Sequence[int], generator: random.Random,
               gap: float = 0.0) -> None:
    """Send unsigned `values` into input stream `port`, idle with probability `gap` before each."""
    stream = StreamPort(dut, port)
    for value in values:
        while generator.random() < gap:
            stream.valid.value = 0
            await RisingEdge(stream.clk)
        stream.payload.value = value
        stream.valid.value = 1
        await RisingEdge(stream.clk)
        while not int(stream.ready.value):
            await RisingEdge(stream.clk)
    stream.valid.value = 0


async def receive(dut: Any, port: str, count: int, generator: random.Random,
                  gap: float = 0.0) -> list[int]:
    """The next `count` unsigned payloads of stream `port`, stalled with probability `gap`."""
    stream = StreamPort(dut, port)
    values: list[int] = []
    while len(values) < count:
        ready = int(generator.random() >= gap)
        stream.ready.value = ready
        await RisingEdge(stream.clk)
        if ready and int(stream.valid.value):
            values.append(int(stream.payload.value))
    stream.ready.value = 0
    return values


def to_signed(value: int, bits: int) -> int:
    """`bits`-bit two's complement `value` as a signed integer."""
    return value - (value >> (bits - 1) << bits)


def unpack(value: int, bits: int, count: int) -> list[int]:
    """`count` signed fields of `bits` bits, lowest first."""
    mask = (1 << bits) - 1
    return [to_signed(value >> (i * bits) & mask, bits) for i in range(count)]


def pack(values: Sequence[int], bits: int) -> int:
    """Inverse of `unpack`."""
    mask = (1 << bits) - 1
    return sum((value & mask) << (i * bits) for i, value in enumerate(values))
