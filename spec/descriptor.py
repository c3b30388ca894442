"""The layer descriptor and the step table entry: every field declared once.

A descriptor is 64 little-endian 32-bit words in memory, aligned to its size. The step table has
one 64-byte entry per timestep; the core reads entry TIMESTEP. What says where that is comes first
in memory, so that it is asked for while the rest of the descriptor still comes. All addresses are
byte addresses, aligned to `Config.word_bytes`.
"""

from dataclasses import dataclass
from typing import ClassVar

from hqdm.spec.field import Structure, at
from hqdm.spec.fixed import MAX_ORDER, MAX_SHIFT, RESIDUAL_SHIFT, quantised_magnitude, symmetric_max
from hqdm.spec.legal import (
    Address,
    ConfigHash,
    Constant,
    Nonzero,
    OneOf,
    Range,
    UpTo,
    Without,
)

DESCRIPTOR_BYTES = 256
STEP_BYTES = 64
MAGIC = int.from_bytes(b"HQD2", "little")
_SHIFT = Range(0, MAX_SHIFT)
_BOUND = UpTo("act_nibbles", quantised_magnitude(4, ranged=True), symmetric_max(8))


@dataclass(frozen=True, kw_only=True)
class Descriptor(Structure):
    """A layer as the core reads it.

    The order of declaration is that of the checks in the core; `at` says where a field is.
    """

    SIZE: ClassVar[int] = DESCRIPTOR_BYTES

    magic: int = at(0, 0, 32, "the letters HQD2", Constant(MAGIC), default=MAGIC)
    config_hash: int = at(1, 0, 32, "Config.hash of the core this was made for", ConfigHash())
    axis: int = at(5, 0, 1, "rotation along 0 channels, 1 width")
    order: int = at(5, 1, 3, "log2 of the rotation block as the hardware sees it",
                    Range(0, MAX_ORDER))
    act_nibbles: int = at(5, 4, 2, "passes per activation", OneOf((1, 2)))
    weight_nibbles: int = at(5, 20, 2, "passes per weight", OneOf((1, 2)))
    weight_bits: int = at(5, 16, 3, "bits of a packed weight nibble", Range(2, 4))
    residual: int = at(5, 24, 2, "second operand: 0 none, 1 add, 2 subtract", OneOf((0, 1, 2)))
    row_scale: int = at(5, 28, 1, "the second operand is a factor per pixel", Without("residual"))
    kernel: int = at(6, 0, 2, "taps along each side", OneOf((1, 3)))
    stride: int = at(6, 4, 2, "pixels between two outputs", OneOf((1, 2)))
    padding: int = at(6, 8, 1, "zeros at each border")
    upsample: int = at(6, 12, 1, "log2 of nearest upsampling")
    channel_shift: int = at(6, 16, 6, "S1, shift after the channel multiplier", _SHIFT)
    height: int = at(7, 0, 16, "source rows", Nonzero())
    width: int = at(7, 16, 16, "source columns", Nonzero())
    out_height: int = at(8, 0, 16, "output rows", Nonzero())
    out_width: int = at(8, 16, 16, "output columns", Nonzero())
    words0: int = at(9, 0, 16, "channel words of source 0", Nonzero())
    words1: int = at(9, 16, 16, "channel words of source 1, 0 if there is none")
    out_words: int = at(10, 0, 16, "channel words of the output", Nonzero())
    tile_rows: int = at(10, 16, 16, "output rows of a spatial tile; the last may be shorter",
                        Nonzero())
    chunk_words: int = at(11, 0, 16, "channel words held in the operand buffer at a time",
                          Nonzero())
    chunks: int = at(11, 16, 16, "chunks of the channel words", Nonzero())
    plane_words: int = at(12, 0, 32, "operand buffer words of one channel word: rows * width",
                          Nonzero())
    row_bytes0: int = at(13, 0, 32, "bytes of one row of source 0")
    row_bytes1: int = at(14, 0, 32, "bytes of one row of source 1")
    timesteps: int = at(4, 0, 16, "entries of the step table", Nonzero())
    source0: int = at(16, 0, 64, "int16 [height][width][words0 * n]", Address())
    source1: int = at(18, 0, 64, "int16 [height][width][words1 * n]", Address())
    weights: int = at(20, 0, 64, "weight tiles in consumption order", Address())
    multipliers: int = at(22, 0, 64, "M: uint16 [out_words * n]", Address())
    steps: int = at(2, 0, 64, "step table", Address())
    second: int = at(24, 0, 64, "second operand or row factors, int16, shape of the output",
                     Address())
    output: int = at(26, 0, 64, "int16 [out_height][out_width][out_words * n]", Address())


@dataclass(frozen=True, kw_only=True)
class StepEntry(Structure):
    """What a layer computes with at one timestep, as the core reads it."""

    SIZE: ClassVar[int] = STEP_BYTES

    load_multiplier: int = at(0, 0, 16, "m[t]", Nonzero())
    load_shift: int = at(0, 16, 6, "s[t] as the hardware sees it", _SHIFT)
    step_multiplier: int = at(1, 0, 16, "Mt[t]", Nonzero())
    step_shift: int = at(1, 16, 6, "St[t]", _SHIFT)
    residual_shift: int = at(2, 0, 5, "right shift of the second operand + 15",
                             Range(0, 2 * RESIDUAL_SHIFT))
    low: int = at(3, 0, 7, "magnitude of the quantiser's lower bound", _BOUND)
    high: int = at(3, 8, 7, "its upper bound", _BOUND)
    bias: int = at(4, 0, 64, "address of bias[t]: int16 [out_words * n]", Address())


FIELDS, STEP_FIELDS = Descriptor.layout(), StepEntry.layout()
FIELD = {f.name: f for f in FIELDS}
STEP_FIELD = {f.name: f for f in STEP_FIELDS}
