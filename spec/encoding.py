"""A layer as descriptor and step entry, and back: the one place that knows both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from hqdm.spec.config import Config
from hqdm.spec.descriptor import Descriptor, StepEntry
from hqdm.spec.fixed import NIBBLE, RESIDUAL_SHIFT, nibbles, quantised_magnitude, symmetric_max
from hqdm.spec.layer import Layer, Load, Multiply, Residual, Store
from hqdm.spec.loop_nest import TilePlan, hardware_order
from hqdm.spec.stages import StoreStages

RESIDUALS: tuple[Residual, ...] = get_args(Residual)    # in the order of their codes


@dataclass(frozen=True, kw_only=True)
class StepScales:
    """Per-timestep integers of a layer; the ranges are those of `hqdm.golden.parameters`.

    Parameters
    ----------
    load_multiplier, load_shift: m and s of the quantiser.
    load_low, load_high: bounds of the quantised values, low <= 0 <= high.
    step_multiplier, step_shift: Mt and St.
    residual_shift: right shift of the second operand, -15..15.
    """

    load_multiplier: int
    load_shift: int
    load_low: int
    load_high: int
    step_multiplier: int
    step_shift: int
    residual_shift: int


def _folded(layer: Layer) -> int:
    """Orders that upsampling spares the hardware; q's shift is so much less."""
    return layer.load.order - hardware_order(layer)


def encode_descriptor(layer: Layer, config: Config, tiles: TilePlan, *, channel_shift: int,
                      sources: Sequence[int], second: int, output: int, weights: int,
                      multipliers: int, steps: int) -> Descriptor:
    """The descriptor of a layer; `sources` (one or two), `second` .. `steps` are addresses."""
    load, multiply = layer.load, layer.multiply
    words = [*(config.words(c) for c in load.channels), 0]
    row_bytes = load.width * config.word_bytes
    return Descriptor(
        config_hash=config.hash,
        axis=int(load.axis == "width" and load.order > 0), order=hardware_order(layer),
        act_nibbles=nibbles(load.bits), weight_nibbles=nibbles(multiply.bits),
        weight_bits=min(multiply.bits, NIBBLE), residual=RESIDUALS.index(layer.store.residual),
        row_scale=int(layer.store.stages.row_scale),
        kernel=multiply.kernel, stride=multiply.stride, padding=multiply.padding,
        upsample=load.upsample - 1, channel_shift=channel_shift,
        height=load.height, width=load.width,
        out_height=layer.out_height, out_width=layer.out_width,
        words0=words[0], words1=words[1], out_words=config.words(multiply.out_channels),
        tile_rows=tiles.tile_rows, chunk_words=tiles.chunk_words, chunks=tiles.chunks,
        plane_words=tiles.plane_words,
        row_bytes0=words[0] * row_bytes, row_bytes1=words[1] * row_bytes,
        timesteps=layer.timesteps,
        source0=sources[0], source1=sources[1] if len(sources) > 1 else 0,
        weights=weights, multipliers=multipliers, steps=steps, second=second, output=output)


def encode_step(layer: Layer, scales: StepScales, bias: int) -> StepEntry:
    """The step entry of one timestep; `bias` is the address of its bias vector."""
    return StepEntry(
        load_multiplier=scales.load_multiplier, load_shift=scales.load_shift - _folded(layer),
        step_multiplier=scales.step_multiplier, step_shift=scales.step_shift,
        residual_shift=scales.residual_shift + RESIDUAL_SHIFT,
        low=-scales.load_low, high=scales.load_high, bias=bias)


def decode_step(layer: Layer, entry: StepEntry) -> StepScales:
    """Inverse of `encode_step`; `bias` is not among the scales."""
    return StepScales(
        load_multiplier=entry.load_multiplier, load_shift=entry.load_shift + _folded(layer),
        load_low=-entry.low, load_high=entry.high,
        step_multiplier=entry.step_multiplier, step_shift=entry.step_shift,
        residual_shift=entry.residual_shift - RESIDUAL_SHIFT)


def decode_layer(descriptor: Descriptor, entry: StepEntry, n: int) -> Layer:
    """The layer of one timestep that a descriptor describes, on channels padded to words of `n`.

    A linear layer comes back as the 1x1 convolution it is, the bits of an activation of one pass
    as the fewest that have the bounds of `entry`.

    Raises
    ------
    ValueError: fields that are legal one by one, yet make no layer.
    """
    d = descriptor
    order = d.order + (d.axis & d.upsample)
    bits, ranged = (8, False) if d.act_nibbles == 2 else _activation(entry.low, entry.high)
    load = Load(
        channels=tuple(words * n for words in (d.words0, d.words1) if words),
        height=d.height, width=d.width, upsample=1 + d.upsample,
        axis=("width" if d.axis else "channel") if order else "none", order=order,
        bits=bits, ranged=ranged)
    multiply = Multiply(
        op="conv3x3" if d.kernel == 3 else "conv1x1", out_channels=d.out_words * n,
        stride=d.stride, padding=d.padding, bits=8 if d.weight_nibbles == 2 else d.weight_bits)
    return Layer(name="device", load=load, multiply=multiply,
                 store=Store(residual=RESIDUALS[d.residual],
                             stages=StoreStages(row_scale=bool(d.row_scale))))


def _activation(low: int, high: int) -> tuple[int, bool]:
    """The narrowest (bits, ranged) that has these bounds -low and high."""
    for bits in (2, 3, 4):
        if low == high == symmetric_max(bits):
            return bits, False
        if low + high <= quantised_magnitude(bits, ranged=True):
            return bits, True
    raise ValueError(f"bounds: wanted at most 16 levels, got -{low}..{high}")
