"""A layer is load -> multiply -> store: three frozen dataclasses that validate themselves."""

from dataclasses import dataclass
from math import gcd
from typing import Literal

from hqdm.spec.fixed import (
    ACCUMULATOR,
    MAX_ORDER,
    check_bits,
    quantised_magnitude,
    sum_magnitude,
    symmetric_max,
)
from hqdm.spec.stages import PLAIN_LOAD, PLAIN_STORE, STORE, LoadStages, Stage, StoreStages, asked

Axis = Literal["none", "channel", "width"]
Op = Literal["linear", "conv1x1", "conv3x3"]
Residual = Literal["none", "add", "subtract"]
Product = Literal["none", "scores", "mix"]
MAX_DIMENSION = (1 << 16) - 1
MAX_CHANNELS = 4 * MAX_DIMENSION    # as many words of the smallest core


def trailing_zeros(value: int) -> int:
    """Number of trailing zero bits of a positive integer."""
    return (value & -value).bit_length() - 1


def effective_order(order: int, dimension: int) -> int:
    """Order of the rotation of an axis: min(order, trailing zero bits of its length)."""
    return min(order, trailing_zeros(dimension))


def axis_length(axis: Axis, channels: tuple[int, ...], width: int) -> int:
    """Length that rotation blocks must divide: the row (after upsampling) for "width"; for
    "channel" the greatest common divisor of the sources (no block straddles two); else 1."""
    return {"none": 1, "width": width, "channel": gcd(*channels)}[axis]


def _check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}: wanted one of {choices}, got {value!r}")


def check_dimension(name: str, value: int, most: int = MAX_DIMENSION) -> None:
    """ValueError unless `value` is an integer in 1..`most`."""
    if not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError(f"{name}: wanted an integer in 1..{most}, got {value!r}")


def _check_heads(name: str, value: int, heads: int) -> None:
    """Every head is a layer of its own in the core."""
    if value > heads * MAX_CHANNELS:
        of = f"{value} in {heads} heads" if heads > 1 else f"{value}"
        raise ValueError(f"{name}: wanted an integer in 1..{MAX_CHANNELS}, got {of}")


def pixel_grid(rows: int) -> tuple[int, int]:
    """(height, width) of the narrowest image that has `rows` pixels: how the core takes the rows
    of a linear layer, of which more than MAX_DIMENSION are no single column.

    Raises
    ------
    ValueError: no image of so many pixels is within MAX_DIMENSION both ways.
    """
    for width in range(-(-rows // MAX_DIMENSION), MAX_DIMENSION + 1):
        if width * width > rows > MAX_DIMENSION:
            break
        if rows % width == 0:
            return rows // width, width
    raise ValueError(f"rows: wanted 1..{MAX_DIMENSION}, or a product of two such numbers, got "
                     f"{rows}")


@dataclass(frozen=True, kw_only=True)
class Load:
    """The activation operand: sources, stages, nearest upsampling, rotation, quantisation.

    Parameters
    ----------
    channels: channels of each source tensor; two sources are concatenated along channels.
    height, width: size of the sources in pixels, before upsampling (rows and 1 for linear; the
        core takes many rows as an image, see `pixel_grid`).
    upsample: 1, or 2 for nearest-neighbour x2 folded into the addressing.
    axis: axis of the Hadamard rotation, "channel", "width" or "none".
    order: log2 of the rotation block; 0 exactly if `axis` is "none" (or the axis is odd).
    bits: width of the quantised activations, 2, 3, 4 or 8.
    ranged: each timestep has its own bounds low <= 0 <= high, high - low < 2**bits, in place of
        -Q and Q; not at 8 bits.
    stages: normalisation and table before the rotation; none by default.

    Raises
    ------
    ValueError: an unsupported value, or an order above the axis.
    """

    channels: tuple[int, ...]
    height: int
    width: int
    upsample: int = 1
    axis: Axis = "none"
    order: int = 0
    bits: int = 4
    ranged: bool = False
    stages: LoadStages = PLAIN_LOAD

    def __post_init__(self) -> None:
        if not isinstance(self.channels, tuple) or len(self.channels) not in (1, 2):
            raise ValueError(f"channels: wanted a tuple of 1 or 2 sources, got {self.channels!r}")
        check_dimension("width", self.width)
        check_dimension("height", self.height, MAX_DIMENSION ** (2 if self.width == 1 else 1))
        for c in self.channels:
            if not isinstance(c, int) or c < 1:     # more than the most: of several heads
                check_dimension("channels", c, MAX_CHANNELS)
        if self.stages.groups and self.total_channels % self.stages.groups:
            raise ValueError(f"groups: wanted a divisor of {self.total_channels} channels, got "
                             f"{self.stages.groups}")
        _check_choice("upsample", self.upsample, (1, 2))
        _check_choice("axis", self.axis, ("none", "channel", "width"))
        check_bits(self.bits, "activation bits")
        quantised_magnitude(self.bits, self.ranged)
        length = axis_length(self.axis, self.channels, self.width * self.upsample)
        limit = effective_order(MAX_ORDER, length)
        if not isinstance(self.order, int) or not 0 <= self.order <= limit:
            raise ValueError(f"order: wanted 0..{limit} along {self.axis} of length {length}, got "
                             f"{self.order!r}")

    @property
    def total_channels(self) -> int:
        return sum(self.channels)

    @property
    def quant_max(self) -> int:
        """Q, the largest magnitude of symmetric bounds."""
        return symmetric_max(self.bits)

    @property
    def magnitude(self) -> int:
        """Bound on |q|: Q, or 2**bits - 1 with free bounds."""
        return quantised_magnitude(self.bits, self.ranged)


@dataclass(frozen=True, kw_only=True)
class Multiply:
    """The integer matrix product or convolution.

    Parameters
    ----------
    op: "linear", "conv1x1" or "conv3x3".
    out_channels: output channels.
    stride: 1 or 2 (1 for linear).
    padding: rows and columns of zeros at each border: 0 or 1 for conv3x3, else 0.
    bits: width of the weights, 2, 3, 4 or 8.
    product: "none"; else (linear, 8 bits) a second activation tensor takes the place of the
        weights: "scores", queries times keys, or "mix", probabilities times values.
    heads: independent blocks of a product; queries are heads x size channels, scores are
        heads x keys channels.

    Raises
    ------
    ValueError: an unsupported value.
    """

    op: Op
    out_channels: int
    stride: int = 1
    padding: int = 0
    bits: int = 4
    product: Product = "none"
    heads: int = 1

    def __post_init__(self) -> None:
        _check_choice("op", self.op, ("linear", "conv1x1", "conv3x3"))
        if not isinstance(self.out_channels, int) or self.out_channels < 1:
            check_dimension("out_channels", self.out_channels, MAX_CHANNELS)
        _check_choice("stride", self.stride, (1,) if self.op == "linear" else (1, 2))
        _check_choice("padding", self.padding, (0, 1) if self.op == "conv3x3" else (0,))
        check_bits(self.bits, "weight bits")
        _check_choice("product", self.product, ("none", "scores", "mix"))
        if self.product != "none" and (self.op != "linear" or self.bits != 8):
            raise ValueError(f"product: wanted linear at 8 bits, got {self.op} at {self.bits} bits")
        if self.heads < 1 or self.out_channels % self.heads or (
                self.heads > 1 and self.product == "none"):
            raise ValueError(f"heads: wanted a divisor of {self.out_channels} output channels of a "
                             f"product, got {self.heads}")
        _check_heads("out_channels", self.out_channels, self.heads)

    @property
    def kernel(self) -> int:
        return 3 if self.op == "conv3x3" else 1


@dataclass(frozen=True, kw_only=True)
class Store:
    """What happens to the partial sums: requantise, bias[t] (both always), second operand.

    Parameters
    ----------
    residual: "none", "add" or "subtract" a second int16 tensor of the output's shape.
    stages: row reciprocal, gate, class bias and statistics; none by default.

    Raises
    ------
    ValueError: an unknown residual, or two stages that want the second operand.
    """

    residual: Residual = "none"
    stages: StoreStages = PLAIN_STORE

    def __post_init__(self) -> None:
        _check_choice("residual", self.residual, ("none", "add", "subtract"))
        readers = [stage for stage in asked(STORE, self) if stage.second is not None]
        if len(readers) > 1:
            raise ValueError(f"residual: wanted 'none' beside a {readers[0].name}, got "
                             f"{self.residual!r}")

    @property
    def second(self) -> Stage | None:
        """The stage that takes the second operand, or None."""
        return next((s for s in asked(STORE, self) if s.second is not None), None)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of the list that golden, driver and cycle model all read.

    Parameters
    ----------
    name: label used in reports and errors.
    load, multiply, store: the three parts.
    timesteps: entries of every per-timestep table.

    Raises
    ------
    ValueError: parts that do not fit together, or partial sums that could leave int32.
    """

    name: str
    load: Load
    multiply: Multiply
    store: Store = Store()
    timesteps: int = 1

    def __post_init__(self) -> None:
        check_dimension("timesteps", self.timesteps)
        if self.multiply.op == "linear" and (self.load.width != 1 or self.load.upsample != 1):
            raise ValueError(
                f"{self.name}: linear wants width 1 and upsample 1, got width "
                f"{self.load.width} and upsample {self.load.upsample}")
        self._check_sizes()
        if self.store.stages.gate and self.multiply.out_channels % 2:
            raise ValueError(f"{self.name}: wanted two halves for the gate, got "
                             f"{self.multiply.out_channels} output channels")
        for name, size in (("height", self.out_height), ("width", self.out_width)):
            if size < 1:
                raise ValueError(
                    f"{self.name}: wanted an output {name} of at least 1, got {size}; the "
                    f"input is smaller than the kernel")
        if self.partial_sum_bound > ACCUMULATOR.high:
            raise ValueError(
                f"{self.name}: wanted partial sums within int32, got a bound of "
                f"{self.partial_sum_bound}: fewer bits, a lower order or fewer channels fit")

    def _check_sizes(self) -> None:
        """Rows are pixels of some image."""
        heads, channels = self.multiply.heads, self.load.channels
        if self.load.total_channels % heads:
            raise ValueError(f"{self.name}: wanted channels in {heads} heads, got "
                             f"{self.load.total_channels}")
        try:
            _check_heads("channels", max(channels), heads)
            if self.multiply.op == "linear":
                pixel_grid(self.load.height)
            else:
                check_dimension("height", self.load.height)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error

    def _out(self, size: int) -> int:
        m = self.multiply
        return (size * self.load.upsample + 2 * m.padding - m.kernel) // m.stride + 1

    @property
    def out_height(self) -> int:
        return self._out(self.load.height)

    @property
    def out_width(self) -> int:
        return self._out(self.load.width)

    @property
    def depth(self) -> int:
        """Products summed per output: input channels (of a head) times kernel taps."""
        return self.load.total_channels // self.multiply.heads * self.multiply.kernel ** 2

    @property
    def stored_channels(self) -> int:
        """Channels of the output tensor: half the output channels if they are gated."""
        return self.multiply.out_channels // (2 if self.store.stages.gate else 1)

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the optional stages of the load and the store."""
        product = () if self.multiply.product == "none" else (self.multiply.product,)
        return (*self.load.stages.names, *product, *self.store.stages.names)

    @property
    def partial_sum_bound(self) -> int:
        """Bound on |acc|: depth * |q| * 2**order * largest weight magnitude."""
        load = self.load
        return sum_magnitude(self.depth, self.multiply.bits, load.bits, load.ranged) << load.order

    @property
    def macs(self) -> int:
        """Multiply-accumulates, padding included, nibble passes not counted."""
        return self.out_height * self.out_width * self.multiply.out_channels * self.depth
