"""Fixed-point formats: widths, ranges, the nibble split; docs/numerics.md derives each bound."""

from dataclasses import dataclass
from typing import Any

CARRIER_BITS = 16       # activations between layers
MULTIPLIER_BITS = 16    # unsigned scale mantissas m[t], M[o], Mt[t]
SHIFT_BITS = 6          # scale exponents s[t], S1, St[t]
MAX_SHIFT = 47
ACCUMULATOR_BITS = 32   # partial sums
MID_BITS = 24           # between the channel multiplier and the timestep multiplier
MAX_ORDER = 6           # largest rotation, 2**6 = 64 points
RESIDUAL_SHIFT = 15     # second operand is shifted by -15 .. +15 bits
BITS = (2, 3, 4, 8)     # supported operand widths
NIBBLE = 4
QUANTISED_BITS = 5      # signed width of q in one pass: free bounds reach -15 and 15
_TWICE = (1 << NIBBLE) + 1  # two equal signed nibbles d are the integer 17 d


@dataclass(frozen=True)
class Signed:
    """A signed two's-complement format of `bits` bits."""

    bits: int

    @property
    def low(self) -> int:
        return -(1 << (self.bits - 1))

    @property
    def high(self) -> int:
        return (1 << (self.bits - 1)) - 1

    def __contains__(self, value: int) -> bool:
        return self.low <= value <= self.high


CARRIER = Signed(CARRIER_BITS)
ACCUMULATOR = Signed(ACCUMULATOR_BITS)
MID = Signed(MID_BITS)


def check_bits(bits: int, what: str) -> None:
    """Raise ValueError unless `bits` is a supported operand width."""
    if bits not in BITS:
        raise ValueError(f"{what}: wanted one of {BITS} bits, got {bits}")


def nibbles(bits: int) -> int:
    """Number of 4-bit passes an operand of `bits` bits takes: 1, or 2 for 8 bits."""
    return 2 if bits > NIBBLE else 1


def split_nibbles(q: Any) -> tuple[Any, Any]:
    """(lo, hi) with q = 16 * hi + lo and lo in -8..7, of an integer or an array of integers of any
    library; |q| <= 119 gives hi in -7..7."""
    offset = 1 << (NIBBLE - 1)
    lo = ((q + offset) & ((1 << NIBBLE) - 1)) - offset
    return lo, (q - lo) >> NIBBLE


def symmetric_max(bits: int) -> int:
    """Largest magnitude Q of the symmetric quantiser.

    2**(bits-1) - 1 up to 4 bits. At 8 bits Q = 7*16 + 7 = 119, the largest magnitude whose
    positive and negative value are both two *signed* nibbles (docs/numerics.md, section 6).
    """
    check_bits(bits, "symmetric_max")
    return weight_range(bits)[1]


def weight_range(bits: int) -> tuple[int, int]:
    """Smallest and largest integer weight the array can hold at `bits` bits.

    [-2**(b-1), 2**(b-1) - 1] up to 4 bits, [-8*17, 7*17] = [-136, 119] for two signed nibbles.
    """
    check_bits(bits, "weight_range")
    nibble = Signed(min(bits, NIBBLE))
    scale = _TWICE if bits > NIBBLE else 1
    return nibble.low * scale, nibble.high * scale


def quantised_magnitude(bits: int, ranged: bool = False) -> int:
    """Bound on |q|: Q, or with free bounds 2**bits - 1 (every level on one side of zero).

    Raises
    ------
    ValueError: free bounds at 8 bits, whose nibbles need |q| <= 119 on both sides.
    """
    if not ranged:
        return symmetric_max(bits)
    check_bits(bits, "quantised_magnitude")
    if bits > NIBBLE:
        raise ValueError(f"ranged: wanted 2, 3 or 4 bits, got {bits}")
    return (1 << bits) - 1


def sum_magnitude(depth: int, weight_bits: int, bits: int, ranged: bool = False) -> int:
    """Bound on a sum of `depth` products, depth * |q| * largest weight, before any rotation.

    Each order of a rotation doubles it.
    """
    low, high = weight_range(weight_bits)
    return depth * quantised_magnitude(bits, ranged) * max(-low, high)


def operand_magnitude(bits: int, order: int, ranged: bool = False) -> int:
    """Bound on |u|, the rotated-back operand: |q| * 2**order (every term adds with one sign)."""
    return quantised_magnitude(bits, ranged) << order


def required_operand_bits(bits: int, order: int, ranged: bool = False) -> int:
    """Signed width that holds one nibble of the operand after rotating back.

    A low nibble reaches -8, so the all-plus output reaches -8 * 2**order (docs/numerics.md).
    """
    if bits == 8:
        return NIBBLE + order
    return operand_magnitude(bits, order, ranged).bit_length() + 1
