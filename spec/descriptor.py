"""The layer descriptor and the step table: fields declared once, packed and unpacked here.

A descriptor is 64 little-endian 32-bit words in memory, aligned to its size. The step table has
one 64-byte entry per timestep; the core reads entry TIMESTEP. What says where that is comes first,
so that it is asked for while the rest of the descriptor still comes. All addresses are byte
addresses, aligned to `Config.word_bytes`.
"""

from dataclasses import dataclass

DESCRIPTOR_WORDS = 64
DESCRIPTOR_BYTES = 4 * DESCRIPTOR_WORDS
STEP_WORDS = 16
STEP_BYTES = 4 * STEP_WORDS
MAGIC = int.from_bytes(b"HQD2", "little")


@dataclass(frozen=True)
class Field:
    """`bits` bits at bit `lsb` of 32-bit word `word`; 64-bit fields take two words."""

    name: str
    word: int
    lsb: int
    bits: int
    doc: str


FIELDS = (
    Field("magic", 0, 0, 32, "the letters HQD2"),
    Field("config_hash", 1, 0, 32, "Config.hash of the core this was made for"),
    Field("steps", 2, 0, 64, "step table"),
    Field("timesteps", 4, 0, 16, "entries of the step table"),
    Field("axis", 5, 0, 1, "rotation along 0 channels, 1 width"),
    Field("order", 5, 1, 3, "log2 of the rotation block as the hardware sees it, 0..6"),
    Field("act_nibbles", 5, 4, 2, "passes per activation, 1 or 2"),
    Field("weight_bits", 5, 16, 3, "bits of a packed weight nibble, 2, 3 or 4"),
    Field("weight_nibbles", 5, 20, 2, "passes per weight, 1 or 2"),
    Field("residual", 5, 24, 2, "second operand: 0 none, 1 add, 2 subtract"),
    Field("row_scale", 5, 28, 1, "the second operand is a factor per pixel; not with a residual"),
    Field("kernel", 6, 0, 2, "1 or 3"),
    Field("stride", 6, 4, 2, "1 or 2"),
    Field("padding", 6, 8, 1, "zeros at each border, 0 or 1"),
    Field("upsample", 6, 12, 1, "log2 of nearest upsampling, 0 or 1"),
    Field("channel_shift", 6, 16, 6, "S1, shift after the channel multiplier"),
    Field("height", 7, 0, 16, "source rows"),
    Field("width", 7, 16, 16, "source columns"),
    Field("out_height", 8, 0, 16, "output rows"),
    Field("out_width", 8, 16, 16, "output columns"),
    Field("words0", 9, 0, 16, "channel words of source 0"),
    Field("words1", 9, 16, 16, "channel words of source 1, 0 if there is none"),
    Field("out_words", 10, 0, 16, "channel words of the output"),
    Field("tile_rows", 10, 16, 16, "output rows of a spatial tile; the last may be shorter"),
    Field("chunk_words", 11, 0, 16, "channel words held in the operand buffer at a time"),
    Field("chunks", 11, 16, 16, "chunks of the channel words"),
    Field("plane_words", 12, 0, 32, "operand buffer words of one channel word: rows * width"),
    Field("row_bytes0", 13, 0, 32, "bytes of one row of source 0"),
    Field("row_bytes1", 14, 0, 32, "bytes of one row of source 1"),
    Field("source0", 16, 0, 64, "int16 [height][width][words0 * n]"),
    Field("source1", 18, 0, 64, "int16 [height][width][words1 * n]"),
    Field("weights", 20, 0, 64, "weight tiles in consumption order"),
    Field("multipliers", 22, 0, 64, "M: uint16 [out_words * n]"),
    Field("second", 24, 0, 64, "second operand or row factors, int16, shape of the output"),
    Field("output", 26, 0, 64, "int16 [out_height][out_width][out_words * n]"),
)

STEP_FIELDS = (
    Field("load_multiplier", 0, 0, 16, "m[t]"),
    Field("load_shift", 0, 16, 6, "s[t] as the hardware sees it"),
    Field("step_multiplier", 1, 0, 16, "Mt[t]"),
    Field("step_shift", 1, 16, 6, "St[t]"),
    Field("residual_shift", 2, 0, 5, "right shift of the second operand + 15, 0..30"),
    Field("low", 3, 0, 7, "magnitude of the quantiser's lower bound, 0..15, two passes 0..119"),
    Field("high", 3, 8, 7, "its upper bound, 0..15, two passes 0..119"),
    Field("bias", 4, 0, 64, "address of bias[t]: int16 [out_words * n]"),
)


def pack(fields: tuple[Field, ...], words: int, values: dict[str, int]) -> bytes:
    """Pack `values` (name -> unsigned integer) into `words` little-endian 32-bit words.

    Raises
    ------
    ValueError: a missing or unknown name, or a value that does not fit its field.
    """
    names = {f.name for f in fields}
    if names != set(values):
        raise ValueError(f"descriptor: wanted the fields {sorted(names)}, got {sorted(values)}")
    image = 0
    for f in fields:
        value = values[f.name]
        if not 0 <= value < 1 << f.bits:
            raise ValueError(
                f"descriptor field {f.name}: wanted 0..{(1 << f.bits) - 1}, got {value}")
        image |= value << (32 * f.word + f.lsb)
    return image.to_bytes(4 * words, "little")


def unpack(fields: tuple[Field, ...], data: bytes) -> dict[str, int]:
    """Inverse of `pack`."""
    image = int.from_bytes(data, "little")
    return {f.name: image >> (32 * f.word + f.lsb) & ((1 << f.bits) - 1) for f in fields}


def pack_descriptor(values: dict[str, int]) -> bytes:
    """The 256 bytes of a descriptor (magic is filled in)."""
    return pack(FIELDS, DESCRIPTOR_WORDS, {"magic": MAGIC} | values)


def pack_step(values: dict[str, int]) -> bytes:
    """The 64 bytes of one step table entry."""
    return pack(STEP_FIELDS, STEP_WORDS, values)
