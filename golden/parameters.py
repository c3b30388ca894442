"""Everything a layer computes with besides its activations."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hqdm.golden.carrier import MAX_EXPONENT
from hqdm.kit.check import check_int, check_range, check_tensor
from hqdm.spec import Layer
from hqdm.spec.fixed import MAX_SHIFT, MULTIPLIER_BITS, RESIDUAL_SHIFT, weight_range

MAX_MULTIPLIER = (1 << MULTIPLIER_BITS) - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Parameters:
    """Weights and scales of one layer; O output and I input channels, R = kernel, T timesteps.

    Parameters
    ----------
    weights: int16 [O, I, R, R], integers in `hqdm.spec.fixed.weight_range(bits)`; empty for a
        product of activations.
    load_multiplier, load_shift: int64 [T], m in 1..65535 and s in 1..47 of the quantiser.
    load_low, load_high: int64 [T], bounds of the quantised values: -Q and Q, or with
        `layer.load.ranged` low <= 0 <= high with high - low < 2**bits.
    multipliers: int64 [O], M in 1..65535.
    channel_shift: S1 in 0..47, shared by all output channels.
    step_multiplier, step_shift: int64 [T], Mt in 1..65535 and St in 0..47.
    bias: int16 [T, O], in units of the output carrier of that timestep.
    residual_shift: int64 [T], right shift of the second operand, -15..15: its exponent less
        the output's.
    source_exponent, output_exponent: int64 [T], exponents of the carriers.
    """

    weights: Tensor
    load_multiplier: Tensor
    load_shift: Tensor
    load_low: Tensor
    load_high: Tensor
    multipliers: Tensor
    channel_shift: int
    step_multiplier: Tensor
    step_shift: Tensor
    bias: Tensor
    residual_shift: Tensor
    source_exponent: Tensor
    output_exponent: Tensor

    def check(self, layer: Layer) -> None:
        """Raise TypeError (dtype) or ValueError (shape, range) unless these fit `layer`."""
        out, kernel = layer.multiply.out_channels, layer.multiply.kernel
        if layer.multiply.product == "none":
            check_tensor("weights", self.weights, torch.int16,
                         (out, layer.load.total_channels, kernel, kernel))
            check_range(f"weights of {layer.multiply.bits} bits", self.weights,
                        *weight_range(layer.multiply.bits))
        check_tensor("multipliers", self.multipliers, torch.int64, (out,))
        check_range("multipliers", self.multipliers, 1, MAX_MULTIPLIER)
        check_int("channel_shift", self.channel_shift, 0, MAX_SHIFT)
        check_tensor("bias", self.bias, torch.int16, (layer.timesteps, out))
        self._check_tables(layer.timesteps)
        self._check_bounds(layer)

    def _check_tables(self, timesteps: int) -> None:
        for name, low, high in (
            ("load_multiplier", 1, MAX_MULTIPLIER),
            ("load_shift", 1, MAX_SHIFT),
            ("step_multiplier", 1, MAX_MULTIPLIER),
            ("step_shift", 0, MAX_SHIFT),
            ("residual_shift", -RESIDUAL_SHIFT, RESIDUAL_SHIFT),
            ("source_exponent", -MAX_EXPONENT, MAX_EXPONENT),
            ("output_exponent", -MAX_EXPONENT, MAX_EXPONENT),
        ):
            table = getattr(self, name)
            check_tensor(name, table, torch.int64, (timesteps,))
            check_range(name, table, low, high)

    def _check_bounds(self, layer: Layer) -> None:
        load, most = layer.load, layer.load.magnitude
        for name, low, high in (("load_low", -most, 0 if load.ranged else -most),
                                ("load_high", 0 if load.ranged else most, most)):
            table = getattr(self, name)
            check_tensor(name, table, torch.int64, (layer.timesteps,))
            check_range(name, table, low, high)
        if load.ranged:
            check_range("load_high - load_low", self.load_high - self.load_low, 0, most)
