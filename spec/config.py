"""Hardware configuration: one frozen dataclass and the named presets."""

import hashlib
import json
from dataclasses import asdict, dataclass

from hqdm.spec.fixed import MAX_ORDER

BURST_BEATS = 16    # longest AXI burst; bursts end on multiples of it, so none crosses 4 KB
CELL_KINDS = ("multiply", "packed", "booth")
ABI_VERSION = 3     # raised whenever registers, descriptor or memory layouts change


def _check_power_of_two(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high or value & (value - 1):
        raise ValueError(f"{name}: wanted a power of two in {low}..{high}, got {value}")


@dataclass(frozen=True, kw_only=True)
class Config:
    """Parameters of one generated core.

    Parameters
    ----------
    name: label used in reports.
    n: array rows (input channels) and columns (output channels); a power of two, 4..64.
    buffer_words: depth of each half of the operand buffer, in words of `n` operands.
    acc_words: depth of each accumulator bank, in output pixels of one tile.
    operand_bits: width of a rotated-back operand, signed.
    address_bits: width of the AXI addresses.
    max_outstanding: AXI bursts a port may have in flight.
    cell: what the array multiplies with: "multiply", a plain product left to the tool; "packed",
        one 18 x 10-bit multiplier for two columns; "booth", additions only.
    booth_rows: so many of the array's last rows have Booth cells, where multipliers run short.

    Raises
    ------
    ValueError: a parameter outside its range.
    """

    name: str
    n: int
    buffer_words: int
    acc_words: int
    operand_bits: int = 10
    address_bits: int = 32
    max_outstanding: int = 32
    cell: str = "packed"
    booth_rows: int = 0

    def __post_init__(self) -> None:
        _check_power_of_two("n", self.n, 4, 64)
        _check_power_of_two("buffer_words", self.buffer_words, 64, 1 << 16)
        _check_power_of_two("acc_words", self.acc_words, 16, 1 << 12)
        _check_power_of_two("max_outstanding", self.max_outstanding, 2, 64)
        if not 8 <= self.operand_bits <= 16:
            raise ValueError(f"operand_bits: wanted 8..16, got {self.operand_bits}")
        if not 16 <= self.address_bits <= 64:
            raise ValueError(f"address_bits: wanted 16..64, got {self.address_bits}")
        if self.cell not in CELL_KINDS:
            raise ValueError(f"cell: wanted one of {', '.join(CELL_KINDS)}, got {self.cell!r}")
        if not 0 <= self.booth_rows <= self.n:
            raise ValueError(f"booth_rows: wanted 0..{self.n}, got {self.booth_rows}")

    @property
    def lanes(self) -> int:
        """int16 carriers the load unit takes per cycle: one bus beat."""
        return self.n // 2

    @property
    def store_lanes(self) -> int:
        """Accumulators the store unit requantises per cycle."""
        return self.n // 4

    @property
    def bus_bytes(self) -> int:
        """Bytes of one AXI beat: `lanes` int16 carriers."""
        return self.n

    @property
    def bus_bits(self) -> int:
        return 8 * self.n

    @property
    def burst_bytes(self) -> int:
        """Bytes of the longest burst; what starts at a multiple of it is read in whole bursts."""
        return BURST_BEATS * self.bus_bytes

    @property
    def word_bytes(self) -> int:
        """Bytes of the `n` int16 carriers of one channel word in memory: two beats."""
        return 2 * self.n

    @property
    def rotation_bits(self) -> int:
        """Width of a rotated carrier: 16 bits and one more per butterfly stage."""
        return 16 + MAX_ORDER

    @property
    def partial_sum_bits(self) -> int:
        """Width of a partial sum that leaves the array: n products of operand x 4 bits."""
        return self.operand_bits + 4 + (self.n - 1).bit_length()

    @property
    def row_cells(self) -> tuple[str, ...]:
        """Kind of the cells of every row of the array."""
        return (self.cell,) * (self.n - self.booth_rows) + ("booth",) * self.booth_rows

    def row_cell(self, row: int) -> str:
        """Kind of the cells of one row."""
        return self.row_cells[row]

    def weight_tile_beats(self, bits: int) -> int:
        """Beats of one n x n weight tile of `bits`-bit (2, 3 or 4) weights."""
        return -(-self.n * bits // 8)

    def words(self, channels: int) -> int:
        """Channel words (of `n`) that hold `channels` channels."""
        return -(-channels // self.n)

    @property
    def hash(self) -> int:
        """32-bit hash of everything driver and core must agree on.

        The name is not part of it, nor the kinds of cells: they give the same sums in the same
        cycles.
        """
        fields = asdict(self) | {"abi": ABI_VERSION}
        for name in ("name", "cell", "booth_rows"):
            del fields[name]
        text = json.dumps(fields, sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


PRESETS = {
    c.name: c for c in (
        Config(name="n4", n=4, buffer_words=1024, acc_words=256),
        Config(name="n8", n=8, buffer_words=2048, acc_words=512),
        Config(name="n16", n=16, buffer_words=4096, acc_words=512, booth_rows=4),
        Config(name="n32", n=32, buffer_words=4096, acc_words=512),
        Config(name="n64", n=64, buffer_words=4096, acc_words=512),
    )
}


def config_by_name(name: str) -> Config:
    """Return the preset called `name`; ValueError lists the known ones."""
    if name not in PRESETS:
        raise ValueError(f"configuration: wanted one of {', '.join(PRESETS)}, got {name!r}")
    return PRESETS[name]
