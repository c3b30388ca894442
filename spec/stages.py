"""Optional stages of a load and of a store: what normalisations, tables, gates and softmax need.

Each stage takes and gives an integer of fixed width by one rhe and one saturation, so a stage run
alone or fused gives the same bits. Descriptors carry the row scale; docs/numerics.md, section 13.
"""

from dataclasses import dataclass
from typing import Literal

AFFINE_BITS = 18        # signed mantissas A[c], R[row]: a DSP's narrow port
OFFSET_BITS = 40        # signed B[c], S[row], added before the shift
MAX_AFFINE_SHIFT = 23   # so that B fits wherever the result does
SEGMENT_BITS = 9        # log2 of the segments of a table: 512 x (18 + 18) bits, one block RAM
BASE_FRACTION = 2       # fraction bits of the base of a segment, 18 bits in all
FRACTION_BITS = 16 - SEGMENT_BITS
SLOPE_BITS = 18         # signed slope of a segment
SLOPE_SHIFT = 13        # slope = dy / dx * 2**13, so |dy / dx| < 16
GATE_SHIFT = 31         # shift of the product of a gate, 0..31
RECIPROCAL_BITS = 10    # a row reciprocal is 2**10..2**11 - 1 and a shift
ROW_MANTISSA_BITS = RECIPROCAL_BITS + 1     # low bits of a packed row factor, the shift above
ROW_SHIFT_BITS = 5
EXP_EXPONENTS = (11, 14)    # input down to -16, output 1 = 2**14
TABLE_EXPONENT = 13     # finest of the tables of SiLU and GELU, -4..4; coarser where needed

Function = Literal["silu", "gelu", "exp", "identity"]
RowStage = Literal["none", "layer_norm", "softmax"]
ChannelStage = Literal["none", "static", "group_norm"]
Statistic = Literal["channel", "row", "maximum"]
FUNCTIONS: tuple[Function, ...] = ("silu", "gelu", "exp", "identity")
STATISTICS: tuple[Statistic, ...] = ("channel", "row", "maximum")


def _check(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}: wanted one of {choices}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class Table:
    """A piecewise-linear function int16 -> int16 of 2**SEGMENT_BITS segments.

    Parameters
    ----------
    function: "silu", "gelu", "exp" or "identity".
    in_exponent, out_exponent: exponents of its argument and of its result, -15..15. Layers with
        the same function and exponents share one table.

    Raises
    ------
    ValueError: an unknown function or an exponent out of range.
    """

    function: Function
    in_exponent: int
    out_exponent: int

    def __post_init__(self) -> None:
        _check("table function", self.function, FUNCTIONS)
        for name in ("in_exponent", "out_exponent"):
            if not -15 <= getattr(self, name) <= 15:
                raise ValueError(f"table {name}: wanted -15..15, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class LoadStages:
    """What happens to a carrier before the rotation: row affine, channel affine, table.

    Parameters
    ----------
    row: "none"; "layer_norm", R and S from the row statistics of the source; "softmax", the row
        maximum subtracted.
    channel: "none"; "static", A and B are constants of the timestep (gamma and beta of a
        LayerNorm, alignment of two sources); "group_norm", A and B from the channel statistics.
    groups: groups of the GroupNorm, 0 exactly if there is none.
    table: function applied last, or None.

    Raises
    ------
    ValueError: an unknown stage, or groups without GroupNorm.
    """

    row: RowStage = "none"
    channel: ChannelStage = "none"
    groups: int = 0
    table: Table | None = None

    def __post_init__(self) -> None:
        _check("row stage", self.row, ("none", "layer_norm", "softmax"))
        _check("channel stage", self.channel, ("none", "static", "group_norm"))
        if (self.groups > 0) != (self.channel == "group_norm") or self.groups < 0:
            raise ValueError(f"groups: wanted a positive number exactly for group_norm, got "
                             f"{self.groups} for {self.channel}")

    @property
    def names(self) -> tuple[str, ...]:
        """The stages that are there, in order."""
        parts = {"row affine": self.row != "none", "channel affine": self.channel != "none",
                 "table": self.table is not None}
        return tuple(name for name, there in parts.items() if there)

    @property
    def needs(self) -> tuple[Statistic, ...]:
        """Statistics the sources must have been stored with."""
        wanted: list[Statistic] = []
        if self.channel == "group_norm":
            wanted.append("channel")
        if self.row != "none":
            wanted.append("row" if self.row == "layer_norm" else "maximum")
        return tuple(wanted)


@dataclass(frozen=True, kw_only=True)
class StoreStages:
    """What a store does besides requantising: row reciprocal, class bias, gate, statistics.

    Parameters
    ----------
    row_scale: multiply by the reciprocal of the row's sum of quantised activations (softmax).
    gate: table of the second half of the outputs, which then multiplies the first half (GEGLU:
        the layer's tensor has half its output channels), or None.
    classes: bias vectors per timestep; more than 1 if the bias depends on the class.
    statistics: what is gathered of the stored int16: "channel" sums and sums of squares, "row"
        sums and sums of squares, "maximum" of each row and head.

    Raises
    ------
    ValueError: an unknown statistic or no class.
    """

    row_scale: bool = False
    gate: Table | None = None
    classes: int = 1
    statistics: tuple[Statistic, ...] = ()

    def __post_init__(self) -> None:
        for statistic in self.statistics:
            _check("statistic", statistic, STATISTICS)
        if self.classes < 1:
            raise ValueError(f"classes: wanted at least 1, got {self.classes}")

    @property
    def names(self) -> tuple[str, ...]:
        """The stages that are there, in order."""
        parts = {"row scale": self.row_scale, "class bias": self.classes > 1,
                 "gate": self.gate is not None}
        stages = [name for name, there in parts.items() if there]
        return (*stages, *(f"{s} statistics" for s in self.statistics))


PLAIN_LOAD = LoadStages()
PLAIN_STORE = StoreStages()
