"""The load unit's whole path: sources to operands."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from hqdm.golden.carrier import Carrier
from hqdm.golden.load.hadamard import rotate_bounded
from hqdm.golden.load.quantise import quantise
from hqdm.golden.parameters import Parameters
from hqdm.kit.check import check_int
from hqdm.spec import Layer
from hqdm.spec.fixed import CARRIER, NIBBLE, nibbles, split_nibbles
from hqdm.spec.stages import LOAD

_DIM = {"none": -1, "channel": -3, "width": -1}     # with "none" the order is 0


def _rotate(x: Tensor, layer: Layer, *_: object) -> Tensor:
    return rotate_bounded(x, layer.load.order, _DIM[layer.load.axis], -CARRIER.low)


def _quantise(r: Tensor, layer: Layer, parameters: Parameters, t: int) -> Tensor:
    return quantise(r, int(parameters.load_multiplier[t]), int(parameters.load_shift[t]),
                    int(parameters.load_low[t]), int(parameters.load_high[t]))


def _rotate_back(q: Tensor, layer: Layer, *_: object) -> Tensor:
    load = layer.load
    return rotate_bounded(q, load.order, _DIM[load.axis], load.magnitude)


APPLY: dict[str, Callable[[Tensor, Layer, Parameters, int], Tensor]] = {
    "rotate": _rotate, "quantise": _quantise, "rotate back": _rotate_back}
# Those of every layer; `prepare` has the others. 8 bits are split before the last.
*WHOLE, LAST = (stage for stage in LOAD if stage.option is None)


def check_timestep(layer: Layer, timestep: int) -> None:
    """Raise unless the layer's tables have an entry `timestep`."""
    check_int(f"{layer.name}: timestep", timestep, 0, layer.timesteps - 1)


def check_sources(layer: Layer, parameters: Parameters, sources: Sequence[Carrier],
                  timestep: int) -> None:
    """Raise ValueError unless count, shapes, batch and exponents are what the layer expects."""
    load = layer.load
    if len(sources) != len(load.channels):
        raise ValueError(
            f"{layer.name}: wanted {len(load.channels)} source(s), got {len(sources)}")
    batch = sources[0].batch
    exponent = int(parameters.source_exponent[timestep])
    for i, (source, channels) in enumerate(zip(sources, load.channels, strict=True)):
        shape = (*batch, channels, load.height, load.width)
        if tuple(source.values.shape) != shape:
            raise ValueError(f"{layer.name}: source {i}: wanted shape {shape}, "
                             f"got {tuple(source.values.shape)}")
        if source.exponent != exponent:
            raise ValueError(f"{layer.name}: source {i}: wanted exponent {exponent} at timestep "
                             f"{timestep}, got {source.exponent}")


def load_quantised(layer: Layer, parameters: Parameters, sources: Sequence[Carrier],
                   timestep: int) -> Tensor:
    """q after upsampling, rotation and quantisation: int64 (..., C, H * up, W * up)."""
    check_timestep(layer, timestep)
    check_sources(layer, parameters, sources, timestep)
    load = layer.load
    x = torch.cat([s.values for s in sources], dim=-3).to(torch.int64)
    if load.upsample > 1:   # (..., H, W) -> (..., H * up, W * up)
        x = x.repeat_interleave(load.upsample, -1).repeat_interleave(load.upsample, -2)
    for stage in WHOLE:
        x = APPLY[stage.name](x, layer, parameters, timestep)
    return x


def load_nibbles(layer: Layer, parameters: Parameters, sources: Sequence[Carrier],
                 timestep: int) -> tuple[Tensor, ...]:
    """What the operand buffer holds, pass by pass: (u,), or (u_lo, u_hi) for 8 bits.

    Split before rotating back, so that each entry fits `hqdm.spec.fixed.required_operand_bits`.
    """
    q = load_quantised(layer, parameters, sources, timestep)
    parts = split_nibbles(q) if nibbles(layer.load.bits) == 2 else (q,)
    return tuple(APPLY[LAST.name](part, layer, parameters, timestep) for part in parts)


def load_operands(layer: Layer, parameters: Parameters, sources: Sequence[Carrier],
                  timestep: int) -> Tensor:
    """u = q * H_raw, the whole operand: int64 (..., C, H * up, W * up)."""
    parts = load_nibbles(layer, parameters, sources, timestep)
    u = parts[0]
    for i, part in enumerate(parts[1:], start=1):
        u = u + (part << (NIBBLE * i))
    return u
