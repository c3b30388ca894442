"""What a layer does to its source before quantising it: normalisation, activation."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hqdm.spec import LoadStages
from hqdm.spec.stages import EXP_EXPONENTS, TABLE_EXPONENT, Function, RowStage, Table


@dataclass(frozen=True, kw_only=True, eq=False)
class Prologue:
    """What a layer does to its source before quantising it.

    Parameters
    ----------
    row: "layer_norm", "softmax" or "none".
    groups: groups of a GroupNorm, 0 for none.
    gamma, beta: float64 [T, C], or None if there is no normalisation.
    """

    row: RowStage = "none"
    groups: int = 0
    gamma: Tensor | None = None
    beta: Tensor | None = None
    epsilon: float = 0.0
    table: Table | None = None

    def stages(self, sources: int) -> LoadStages:
        """The stages of a load with so many sources; two unnormalised ones are aligned."""
        static = self.gamma is not None or (sources > 1 and self.row == "none")
        return LoadStages(
            row=self.row, groups=self.groups, table=self.table,
            channel="group_norm" if self.groups else "static" if static else "none")


PLAIN = Prologue()
SOFTMAX = Prologue(row="softmax", table=Table(
    function="exp", in_exponent=EXP_EXPONENTS[0], out_exponent=EXP_EXPONENTS[1]))


def float64(values: Tensor) -> Tensor:
    """On the CPU in float64; values of the meta device stay there, they have only a shape."""
    return values.detach().to("meta" if values.is_meta else "cpu", torch.float64)


def table(function: Function) -> Table:
    """SiLU or GELU at the default exponents; calibration widens the range where it must."""
    return Table(function=function, in_exponent=TABLE_EXPONENT, out_exponent=TABLE_EXPONENT)


def group_norm(norm: nn.GroupNorm, timesteps: int, function: Function | None = None,
               scale_shift: tuple[Tensor, Tensor] | None = None) -> Prologue:
    """GroupNorm (times 1 + scale[t], plus shift[t]) and an activation."""
    gamma = _row(norm.weight, 1.0, norm.num_channels, timesteps)
    beta = _row(norm.bias, 0.0, norm.num_channels, timesteps)
    if scale_shift is not None:
        scale, shift = scale_shift
        gamma, beta = gamma * (1 + scale), beta * (1 + scale) + shift
    return Prologue(groups=norm.num_groups, gamma=gamma, beta=beta, epsilon=norm.eps,
                    table=table(function) if function else None)


def layer_norm(norm: nn.LayerNorm, timesteps: int) -> Prologue:
    """LayerNorm over the channels."""
    channels = norm.normalized_shape[0]
    return Prologue(row="layer_norm", gamma=_row(norm.weight, 1.0, channels, timesteps),
                    beta=_row(norm.bias, 0.0, channels, timesteps), epsilon=norm.eps)


def _row(values: Tensor | None, fill: float, channels: int, timesteps: int) -> Tensor:
    row = torch.full((channels,), fill) if values is None else values
    return float64(row).expand(timesteps, channels)
