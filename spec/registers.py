"""AXI4-Lite registers, faults and counters, declared once.

The RTL decoder, the driver's constants and the manual's tables are made from these lists.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

IDENTITY = int.from_bytes(b"HQDM", "little")


@dataclass(frozen=True)
class Register:
    """A 32-bit register: byte address, access and meaning."""

    name: str
    address: int
    access: Literal["ro", "rw", "wo", "w1c"]
    doc: str


class Control(IntEnum):
    """Bits of `control` (write 1 to act)."""

    START = 0
    SOFT_RESET = 1


class Status(IntEnum):
    """Bits of `status`."""

    BUSY = 0        # a layer runs
    DONE = 1        # the last layer ended without a fault
    FAULT = 2       # the last layer ended with a fault
    DRAINING = 3    # AXI transactions of an aborted layer are still under way


class Fault(IntEnum):
    """Why a layer ended early; `fault_address` says where.

    For BAD_DESCRIPTOR, CONFIG_MISMATCH and TIMESTEP it is the address of the descriptor word,
    for the AXI faults the address of the burst, for the overflows the word index.
    """

    NONE = 0
    BAD_DESCRIPTOR = 1      # a field outside its range
    CONFIG_MISMATCH = 2     # descriptor made for another configuration hash
    TIMESTEP = 3            # TIMESTEP register beyond the layer's tables
    LOAD_SLVERR = 4
    LOAD_DECERR = 5
    WEIGHT_SLVERR = 6
    WEIGHT_DECERR = 7
    STORE_READ_SLVERR = 8   # descriptor, step table, channel parameters, second operand
    STORE_READ_DECERR = 9
    STORE_WRITE_SLVERR = 10
    STORE_WRITE_DECERR = 11
    OPERAND_OVERFLOW = 12   # a tile larger than the operand buffer
    ACCUMULATOR_OVERFLOW = 13
    WATCHDOG = 14           # no progress for `watchdog` cycles


COUNTERS = (
    ("cycles", "cycles from start to the end of the layer"),
    ("busy", "cycles in which the array took a column of operands"),
    ("wait_load", "array idle: operands not ready, load unit working"),
    ("wait_weight", "array idle: weight tile not yet in the cells"),
    ("wait_store", "array idle: accumulator banks full or last outputs being stored"),
    ("wait_memory", "array idle: the unit waited for was itself waiting for a bus"),
    ("setup", "descriptor, step table and pipeline latency"),
    ("load_beats", "beats read by the load port"),
    ("weight_beats", "beats read by the weight port"),
    ("store_read_beats", "beats read by the store port"),
    ("store_write_beats", "beats written by the store port"),
)

_COUNTER_BASE = 0x40

REGISTERS = (
    Register("identity", 0x00, "ro", "0x4D445148, the letters HQDM"),
    Register("config_hash", 0x04, "ro", "hash of the generated configuration"),
    Register("control", 0x08, "wo", "bit 0 start, bit 1 soft reset"),
    Register("status", 0x0C, "ro", "bit 0 busy, 1 done, 2 fault, 3 draining"),
    Register("fault_code", 0x10, "ro", "why the layer ended, see Fault"),
    Register("fault_address_low", 0x14, "ro", "address of the fault, bits 31:0"),
    Register("fault_address_high", 0x18, "ro", "address of the fault, bits 63:32"),
    Register("irq_enable", 0x1C, "rw", "bit 0: raise the interrupt at the end of a layer"),
    Register("irq_status", 0x20, "w1c", "bit 0: a layer ended; write 1 to clear"),
    Register("descriptor_low", 0x24, "rw", "address of the descriptor, bits 31:0"),
    Register("descriptor_high", 0x28, "rw", "address of the descriptor, bits 63:32"),
    Register("timestep", 0x2C, "rw", "index into every per-timestep table"),
    Register("watchdog", 0x30, "rw", "cycles without progress before the WATCHDOG fault; 0 = off"),
    *(Register(name, _COUNTER_BASE + 4 * i, "ro", doc)
      for i, (name, doc) in enumerate(COUNTERS)),
)

WATCHDOG_RESET = 1 << 20    # reset value of `watchdog`, cycles
REGISTER_SPACE_BITS = 8     # address bits of the AXI4-Lite port

ADDRESS = {r.name: r.address for r in REGISTERS}
