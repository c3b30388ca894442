"""Integers of the optional stages, and a layer's complete set."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hqdm.golden.carrier import MAX_EXPONENT
from hqdm.golden.parameters import MAX_MULTIPLIER, Parameters
from hqdm.kit.check import check_int, check_range, check_tensor
from hqdm.spec import Layer
from hqdm.spec.fixed import MAX_SHIFT, Signed
from hqdm.spec.stages import AFFINE_BITS, GATE_SHIFT, MAX_AFFINE_SHIFT, OFFSET_BITS

MANTISSA = Signed(AFFINE_BITS)
OFFSET = Signed(OFFSET_BITS)
MAX_GAIN_SHIFT = 62


@dataclass(frozen=True, kw_only=True, eq=False)
class Normalisation:
    """Constants that finish statistics into an affine (golden/arithmetic/finish.py).

    Parameters
    ----------
    gain: int64 [T, C] (GroupNorm) or [T, 1] (LayerNorm), 18-bit mantissas G.
    gain_shift: int64 [T], -62..62.
    offset: int64 [T, C], beta before the shift, 40 bits; zeros [T, 1] for LayerNorm.
    epsilon: int64 [T], eps * 2**(2 f + 8), at least 1.
    shift: int64 [T], shift of the affine, 0..23.
    """

    gain: Tensor
    gain_shift: Tensor
    offset: Tensor
    epsilon: Tensor
    shift: Tensor

    def check(self, name: str, timesteps: int, channels: int) -> None:
        """Raise TypeError or ValueError unless these fit."""
        for key, width, low, high in (
            ("gain", channels, MANTISSA.low, MANTISSA.high),
            ("offset", channels, OFFSET.low, OFFSET.high),
            ("gain_shift", 0, -MAX_GAIN_SHIFT, MAX_GAIN_SHIFT),
            ("epsilon", 0, 1, 1 << 58),
            ("shift", 0, 0, MAX_AFFINE_SHIFT),
        ):
            table = getattr(self, key)
            shape = (timesteps, width) if width else (timesteps,)
            check_tensor(f"{name}: {key}", table, torch.int64, shape)
            check_range(f"{name}: {key}", table, low, high)


@dataclass(frozen=True, kw_only=True, eq=False)
class Affine:
    """A static channel affine: A int64 [T, C], B int64 [T, C], shift int64 [T]."""

    scale: Tensor
    offset: Tensor
    shift: Tensor

    def check(self, name: str, timesteps: int, channels: int) -> None:
        """Raise TypeError or ValueError unless these fit."""
        for key, shape, low, high in (
            ("scale", (timesteps, channels), MANTISSA.low, MANTISSA.high),
            ("offset", (timesteps, channels), OFFSET.low, OFFSET.high),
            ("shift", (timesteps,), 0, MAX_AFFINE_SHIFT),
        ):
            check_tensor(f"{name}: {key}", getattr(self, key), torch.int64, shape)
            check_range(f"{name}: {key}", getattr(self, key), low, high)


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerParameters:
    """Everything a layer of a network computes with besides its activations.

    Parameters
    ----------
    base: weights, scales and exponents; `base.source_exponent` is that of the carrier that is
        rotated, after the stages. With a gate, its first class's bias.
    source_exponents: int64 [T, sources], exponents of the tensors in memory.
    bias: int16 [T, K, O], K classes or 1.
    row, group: finishing of LayerNorm and GroupNorm; None without.
    affine: the static channel affine; None without.
    weight_multiplier, weight_shift: int64 [T], quantiser of the operand in the weights' place;
        zeros without.
    gate_shift: int64 [T], 0..31; zeros without.
    guard: bits by which the sums of a mix exceed 23, 0..7 (golden/store/row_scale.py).
    """

    base: Parameters
    source_exponents: Tensor
    bias: Tensor
    row: Normalisation | None
    group: Normalisation | None
    affine: Affine | None
    weight_multiplier: Tensor
    weight_shift: Tensor
    gate_shift: Tensor
    guard: int

    def check(self, layer: Layer) -> None:
        """Raise TypeError or ValueError unless these fit `layer`."""
        self.base.check(layer)
        t, name, stages = layer.timesteps, layer.name, layer.load.stages
        check_tensor(f"{name}: source_exponents", self.source_exponents, torch.int64,
                     (t, len(layer.load.channels)))
        check_range(f"{name}: source_exponents", self.source_exponents, -MAX_EXPONENT,
                    MAX_EXPONENT)
        check_tensor(f"{name}: bias", self.bias, torch.int16,
                     (t, layer.store.stages.classes, layer.multiply.out_channels))
        for what, there, wanted, width in (
            ("layer_norm", self.row, stages.row == "layer_norm", 1),
            ("group_norm", self.group, stages.channel == "group_norm", layer.load.total_channels),
            ("static affine", self.affine, stages.channel == "static", layer.load.total_channels),
        ):
            if (there is not None) != wanted:
                raise ValueError(f"{name}: wanted parameters of {what} exactly if the layer has "
                                 f"it, got {'some' if there else 'none'}")
            if there is not None:
                there.check(f"{name}: {what}", t, width)
        low = 0 if layer.multiply.product == "none" else 1
        for key, least, most in (("weight_multiplier", low, MAX_MULTIPLIER),
                                 ("weight_shift", low, MAX_SHIFT), ("gate_shift", 0, GATE_SHIFT)):
            check_tensor(f"{name}: {key}", getattr(self, key), torch.int64, (t,))
            check_range(f"{name}: {key}", getattr(self, key), least, most)
        check_int(f"{name}: guard", self.guard, 0, 7)
