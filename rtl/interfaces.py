"""Signatures and layouts shared by the units."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hqdm.spec.config import Config
from hqdm.spec.descriptor import FIELDS, STEP_FIELDS
from hqdm.spec.field import Field, used_bits


def _layout(fields: tuple[Field, ...]) -> data.FlexibleLayout:
    return data.FlexibleLayout(
        used_bits(fields), {f.name: data.Field(unsigned(f.bits), f.shift) for f in fields})


DESCRIPTOR_LAYOUT = _layout(FIELDS)
STEP_LAYOUT = _layout(STEP_FIELDS)


class AxiRead(wiring.Signature):
    """AR and R channels of an AXI4 port, seen from the master."""

    def __init__(self, address_bits: int, data_bits: int):
        super().__init__({
            "arid": Out(1), "araddr": Out(address_bits), "arlen": Out(8), "arsize": Out(3),
            "arburst": Out(2), "arvalid": Out(1), "arready": In(1),
            "rid": In(1), "rdata": In(data_bits), "rresp": In(2), "rlast": In(1),
            "rvalid": In(1), "rready": Out(1),
        })


class AxiWrite(wiring.Signature):
    """AW, W and B channels of an AXI4 port, seen from the master."""

    def __init__(self, address_bits: int, data_bits: int):
        super().__init__({
            "awid": Out(1), "awaddr": Out(address_bits), "awlen": Out(8), "awsize": Out(3),
            "awburst": Out(2), "awvalid": Out(1), "awready": In(1),
            "wdata": Out(data_bits), "wstrb": Out(data_bits // 8), "wlast": Out(1),
            "wvalid": Out(1), "wready": In(1),
            "bid": In(1), "bresp": In(2), "bvalid": In(1), "bready": Out(1),
        })


def is_error(response):
    """Whether `rresp` or `bresp` is SLVERR (2) or DECERR (3), not OKAY or EXOKAY."""
    return response[1]


def is_decerr(error):
    """Which of the two an error is: DECERR, not SLVERR."""
    return error[0]


class AxiReadWrite(wiring.Signature):
    """All five channels of an AXI4 port, seen from the master."""

    def __init__(self, address_bits: int, data_bits: int):
        read, write = AxiRead(address_bits, data_bits), AxiWrite(address_bits, data_bits)
        super().__init__({**dict(write.members), **dict(read.members)})


class AxiLite(wiring.Signature):
    """AXI4-Lite with 32-bit data, seen from the master."""

    def __init__(self, address_bits: int):
        super().__init__({
            "awaddr": Out(address_bits), "awprot": Out(3), "awvalid": Out(1), "awready": In(1),
            "wdata": Out(32), "wstrb": Out(4), "wvalid": Out(1), "wready": In(1),
            "bresp": In(2), "bvalid": In(1), "bready": Out(1),
            "araddr": Out(address_bits), "arprot": Out(3), "arvalid": Out(1), "arready": In(1),
            "rdata": In(32), "rresp": In(2), "rvalid": In(1), "rready": Out(1),
        })


BEATS_BITS = 20     # beats of one read request
WRITE_WORDS = 16    # words between the store unit and the bus, announced and not yet sent


def read_request(config: Config) -> data.StructLayout:
    """A linear read: byte address (aligned to a beat) and number of beats, at least 1."""
    return data.StructLayout({"address": config.address_bits, "beats": BEATS_BITS})


class ReadPort(wiring.Signature):
    """What a unit needs to read memory: requests out, beats back in request order."""

    def __init__(self, config: Config):
        super().__init__({
            "request": Out(stream.Signature(read_request(config))),
            "beat": In(stream.Signature(config.bus_bits)),
        })


class WordWrite(wiring.Signature):
    """Words to write, seen from the store unit: their addresses ahead of their data.

    `announce`: `address` is that of the next word, at least three cycles before its last group.
    `push`: `data` is group `group` (0..3) of the oldest word that is not complete. `taken`: a word
    has left the queue; at most `WRITE_WORDS` may be announced and not taken.
    """

    def __init__(self, config: Config):
        super().__init__({
            "announce": Out(1), "address": Out(config.address_bits),
            "push": Out(1), "group": Out(2), "data": Out(config.bus_bits // 2),
            "taken": In(1),
        })


class OperandWrite(wiring.Signature):
    """Write port of the operand buffer: one beat of `lanes` operands into half a word.

    `bank` is the half of the double buffer, `address` the word in it, `upper` 0 for the first
    n/2 operands of the word and 1 for the second.
    """

    def __init__(self, config: Config):
        super().__init__({
            "enable": Out(1), "bank": Out(1),
            "address": Out(range(config.buffer_words)), "upper": Out(1),
            "data": Out(data.ArrayLayout(signed(config.operand_bits), config.lanes)),
        })


class AccumulatorRead(wiring.Signature):
    """Read port of the accumulator banks, seen from the store unit.

    `ready`: the bank to be read next is complete. `release` (one cycle) hands it back and moves
    on to the other bank. `address` is read in every cycle; `take`, one cycle later, keeps what was
    read: the n int32 sums `data[bank]`, from two cycles later until two after the next `take`.
    """

    def __init__(self, config: Config):
        super().__init__({
            "ready": In(1), "release": Out(1),
            "address": Out(range(config.acc_words)), "take": Out(1), "bank": In(1),
            "data": In(data.ArrayLayout(data.ArrayLayout(signed(32), config.n), 2)),
        })
