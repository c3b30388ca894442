"""The stages of a load and of a store: one record each, and what a layer says about them.

Golden model, RTL, cycle model, compiler and manual loop over `LOAD` and `STORE`; how to add a stage
is in docs/add-a-stage.md. Each stage takes and gives an integer of fixed width by one rhe and one
saturation, so a stage run alone or fused gives the same bits; docs/numerics.md, section 13.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal

from hqdm.spec.fixed import MAX_ORDER

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


TIME_STAGES = MAX_ORDER + 1     # butterflies whose two operands come 2**k beats apart, k in 0..6


def rotation_latency(lanes: int, axis: int, order: int) -> int:
    """Advances from a beat to its transform: one per butterfly, one at the end, and the delays.

    Parameters
    ----------
    lanes: carriers of a beat. axis: 0 along the channels, 1 along the width.
    """
    lane_stages = lanes.bit_length() - 1
    delayed = (0 < k <= order if axis else order > lane_stages + k for k in range(TIME_STAGES))
    return lane_stages + 1 + sum(1 + (on << k) for k, on in enumerate(delayed))


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of a load or a store: a function of integers with a unit in the core.

    Parameters
    ----------
    name: as reports and errors say it; `key` is the same as an identifier.
    formula: what it computes.
    option: field of `Load`, `Store` or their `stages` that asks for it; None: it is always there.
    value: entry of the option that asks for this stage, where one field stands for several.
    needs: statistics that the stored sources must have, by value of the option.
    fields, step_fields: the descriptor's and the step table entry's that are its own.
    second: it takes the second operand of the store, read so many cycles before the value comes;
        None: it does not. At most one stage of a layer does.
    latency: cycles in the core: a number, or a function of (lanes, axis, order); None: the core
        has no such unit, the host computes it between two layers.
    """

    name: str
    formula: str
    option: str | None = None
    value: str | None = None
    needs: tuple[tuple[str, "Statistic"], ...] = ()
    fields: tuple[str, ...] = ()
    step_fields: tuple[str, ...] = ()
    second: int | None = None
    latency: int | Callable[[int, int, int], int] | None = None

    @property
    def key(self) -> str:
        """The name as an identifier."""
        return self.name.replace(" ", "_")

    def asked(self, options: Any) -> bool:
        """Whether `options`, a Load, a Store or the `stages` of one, ask for this stage.

        They do by `value`, or where there is none by anything but the option's default.
        """
        declared = {field.name: field.default for field in fields(options)}
        if self.option not in declared:
            return "stages" in declared and self.asked(options.stages)
        chosen = getattr(options, self.option)
        return self.value in chosen if self.value else chosen != declared[self.option]

    def advances(self, lanes: int, axis: int, order: int) -> int:
        """Latency in the core, for a rotation of 2**order points along `axis`."""
        if self.latency is None:
            raise ValueError(f"{self.name}: wanted a stage that the core has, got one of the host")
        return self.latency(lanes, axis, order) if callable(self.latency) else self.latency


LOAD = (
    Stage(name="row affine", formula="sat16(rhe(x * R[row] + S[row], s))", option="row",
          needs=(("layer_norm", "row"), ("softmax", "maximum"))),
    Stage(name="channel affine", formula="sat16(rhe(x * A[c] + B[c], s))", option="channel",
          needs=(("group_norm", "channel"),)),
    Stage(name="table", formula="piecewise linear, int16 -> int16", option="table"),
    Stage(name="rotate", formula="r = x * H", fields=("axis", "order"),
          latency=rotation_latency),
    Stage(name="quantise", formula="q = clamp(rhe(r * m[t], s[t]), low[t], high[t])",
          fields=("act_nibbles",), step_fields=("load_multiplier", "load_shift", "low", "high"),
          latency=6),
    Stage(name="rotate back", formula="u = q * H", latency=rotation_latency),
)
STORE = (
    Stage(name="channel", formula="mid = sat24(rhe(acc * M[o], S1))",
          fields=("multipliers", "channel_shift"), latency=5),
    Stage(name="row scale", formula="mid = sat24(rhe(mid * R[row], L[row]))", option="row_scale",
          fields=("row_scale",), second=1, latency=4),
    Stage(name="timestep", formula="y = sat16(rhe(mid * Mt[t], St[t]))",
          step_fields=("step_multiplier", "step_shift"), latency=5),
    Stage(name="bias", formula="y = sat16(y + bias[t][class][o])", step_fields=("bias",),
          latency=1),
    Stage(name="class bias", formula="bias[t] of the image's class: a longer step table",
          option="classes"),
    Stage(name="gate", formula="y = sat16(rhe(y[c] * table(y[c + C]), s[t]))", option="gate"),
    Stage(name="second", formula="y = sat16(y +- align(x2, s[t]))", option="residual",
          fields=("residual",), step_fields=("residual_shift",), second=3, latency=1),
    Stage(name="channel statistics", formula="sum and sum of squares of y[c]",
          option="statistics", value="channel"),
    Stage(name="row statistics", formula="sum and sum of squares of y[row]", option="statistics",
          value="row"),
    Stage(name="maximum statistics", formula="largest y of a row and head", option="statistics",
          value="maximum"),
)


def asked(stages: tuple[Stage, ...], options: Any) -> tuple[Stage, ...]:
    """Those of `stages` that `options` ask for, in order."""
    return tuple(stage for stage in stages if stage.asked(options))


def by_name(stages: tuple[Stage, ...], name: str) -> Stage:
    """The stage called `name`; ValueError lists the known ones."""
    for stage in stages:
        if stage.name == name:
            return stage
    names = ", ".join(stage.name for stage in stages)
    raise ValueError(f"stage: wanted one of {names}, got {name!r}")


def in_core(stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """Those that the core has a unit for, in order."""
    return tuple(stage for stage in stages if stage.latency is not None)


def store_start(name: str) -> int:
    """Cycles from the partial sums to the input of a stage of the store."""
    before = STORE[:STORE.index(by_name(STORE, name))]
    return sum(stage.advances(0, 0, 0) for stage in in_core(before))


def load_latency(lanes: int, axis: int, order: int) -> int:
    """Advances from a beat of carriers to its operands: the stages of `LOAD` in the core.

    An advance is a cycle while beats come; the first is a cycle after its beat.
    """
    return sum(stage.advances(lanes, axis, order) for stage in in_core(LOAD))


STORE_LATENCY = sum(stage.advances(0, 0, 0) for stage in in_core(STORE))


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
        return tuple(stage.name for stage in asked(LOAD, self))

    @property
    def needs(self) -> tuple[Statistic, ...]:
        """Statistics the sources must have been stored with, channel statistics first."""
        wanted = {statistic for stage in asked(LOAD, self)
                  for value, statistic in stage.needs
                  if stage.option and getattr(self, stage.option) == value}
        return tuple(s for s in STATISTICS if s in wanted)


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
        """The optional stages that are there, in order."""
        return tuple(stage.name for stage in asked(STORE, self))


PLAIN_LOAD = LoadStages()
PLAIN_STORE = StoreStages()
