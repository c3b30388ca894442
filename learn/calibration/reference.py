"""The list of layers run in floating point: what the integers are compared with.

With the quantisers of the network it is the fake-quantised model; without, the float model.
Normalisations, tables, softmax and sums are floating point in both.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from hqdm.golden.arithmetic.table import real_function
from hqdm.golden.load.hadamard import rotate
from hqdm.golden.network.interpreter import turned
from hqdm.learn.calibration.quantisers import Exact, Fake, Quantiser, probability_steps, symmetric
from hqdm.learn.calibration.real import RealLayer, RealNetwork
from hqdm.spec import Layer, Node

_DIM = {"none": -1, "channel": -3, "width": -1}


class Observer(Protocol):
    """Told the largest magnitudes on the way."""

    def see(self, index: int, key: str, value: Tensor) -> None:
        """`value`: float, a scalar or a vector by channel, to be kept at its maximum."""


class Blind:
    """An observer that looks away."""

    def see(self, index: int, key: str, value: Tensor) -> None:
        """Nothing."""


def hadamard(order: int, like: Tensor) -> Tensor:
    """The orthogonal matrix of 2**order points."""
    eye = torch.eye(1 << order, dtype=torch.int64, device=like.device)
    return rotate(eye, order, 0).to(like.dtype) * 2.0 ** (-order / 2)


def rotate_real(x: Tensor, order: int, dim: int) -> Tensor:
    """x * H / sqrt(2**order) along `dim`; its own inverse."""
    if order == 0:
        return x
    blocks = x.movedim(dim, -1).unflatten(-1, (-1, 1 << order))
    return (blocks @ hadamard(order, x)).flatten(-2).movedim(-1, dim)


class Reference:
    """Executor of a `RealNetwork`.

    Parameters
    ----------
    quantiser: an object of hqdm.learn.calibration.quantisers, or None for the float model.
    dtype: torch.float32 or torch.float64.
    """

    def __init__(self, real: RealNetwork, quantiser: Quantiser | None = None,
                 dtype: torch.dtype = torch.float32, observer: Observer | None = None) -> None:
        self.real, self.dtype = real, dtype
        self.quantiser = quantiser or Exact(real, dtype)
        self.observer = observer or Blind()

    @classmethod
    def quantised(cls, real: RealNetwork, dtype: torch.dtype = torch.float32) -> "Reference":
        """The fake-quantised network."""
        return cls(real, Fake(real, dtype), dtype)

    def __call__(self, latents: Tensor, timestep: int, classes: Tensor | None = None) -> Tensor:
        """Noise (B, C, H, W) for `latents` at table entry `timestep`; `classes` int64 [B]."""
        network = self.real.network
        if classes is None:
            classes = torch.zeros(latents.shape[0], dtype=torch.int64, device=latents.device)
        tensors = {network.input: turned(network, latents.to(self.dtype))}
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            for index, (node, dead) in enumerate(network.last_reads()):
                y = self.run_node(index, node, tensors, timestep, classes)
                spec = network.tensor(node.output)
                tensors[node.output] = y.reshape(-1, spec.channels, spec.height, spec.width)
                for name in dead:
                    del tensors[name]
        return turned(network, tensors[network.output])

    def run_node(self, index: int, node: Node, tensors: dict[str, Tensor], timestep: int,
                 classes: Tensor) -> Tensor:
        """Output of layer `index`, linear ones as (B, C, rows, 1), from the tensors it reads."""
        layer, real = node.layer, self.real.layers[index]
        x = torch.cat([tensors[s].flatten(2) for s in node.sources], 1)
        x = x.unflatten(2, (layer.load.height, layer.load.width))
        x = self._stages(index, layer, real, x, timestep)
        if layer.multiply.product == "none":
            y = self._multiply(index, layer, x, timestep)
        else:
            assert node.weights is not None
            y = self._product(index, layer, x, tensors[node.weights].flatten(2), timestep)
        bias = real.bias[timestep].to(y)[classes if real.bias.shape[1] > 1 else classes * 0]
        second = None if node.second is None else tensors[node.second].reshape(
            -1, layer.stored_channels, layer.out_height, layer.out_width)
        return self._store(index, layer, y, bias[:, :, None, None], second)

    def _stages(self, index: int, layer: Layer, real: RealLayer, x: Tensor, t: int) -> Tensor:
        stages = layer.load.stages
        if stages.row == "softmax":
            x = x.unflatten(1, (layer.multiply.heads, -1))
            x = torch.exp(x - x.amax(2, keepdim=True)).flatten(1, 2)
            return x
        if stages.row == "layer_norm":
            rstd = (x.var(1, correction=0, keepdim=True) + real.epsilon).rsqrt()
            self.observer.see(index, "row_gain", rstd.amax())
            x = (x - x.mean(1, keepdim=True)) * rstd
        if stages.channel == "group_norm":
            grouped = x.unflatten(1, (stages.groups, -1))
            rstd = (grouped.var((2, 3, 4), correction=0, keepdim=True) + real.epsilon).rsqrt()
            x = ((grouped - grouped.mean((2, 3, 4), keepdim=True)) * rstd).flatten(1, 2)
            assert real.gamma is not None
            gain = rstd.expand(-1, -1, grouped.shape[2], 1, 1).flatten(1)
            self.observer.see(index, "channel_gain", (gain * real.gamma[t].to(x).abs()).amax(0))
        if stages.channel != "none" and real.gamma is not None and real.beta is not None:
            x = x * real.gamma[t].to(x)[:, None, None] + real.beta[t].to(x)[:, None, None]
        self.observer.see(index, "affine", x.abs().amax())
        return x if stages.table is None else real_function(stages.table.function)(x)

    def _multiply(self, index: int, layer: Layer, x: Tensor, timestep: int) -> Tensor:
        load, multiply = layer.load, layer.multiply
        if load.upsample > 1:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        dim = _DIM[load.axis]
        r = rotate_real(x, load.order, dim)
        x = rotate_real(self.quantiser.activation(index, timestep, r, load.bits), load.order, dim)
        return F.conv2d(x, self.quantiser.weights(index), stride=multiply.stride,
                        padding=multiply.padding)

    def _product(self, index: int, layer: Layer, x: Tensor, other: Tensor, t: int) -> Tensor:
        heads = layer.multiply.heads
        u = x.squeeze(3).unflatten(1, (heads, -1))                  # (B, h, depth, rows)
        w = self.quantiser.operand(index, t, other).unflatten(1, (heads, -1))
        if layer.multiply.product == "scores":
            q = self.quantiser.activation(index, t, u, layer.load.bits)
            y = w.transpose(2, 3) @ q * self.real.layers[index].gain
        else:
            if not isinstance(self.quantiser, Exact):
                step = float(probability_steps(self.real.layers[index])[t])
                u = symmetric(u, step, layer.load.bits)
            y = w @ u / u.sum(2, keepdim=True).clamp(min=1e-9)
        return y.flatten(1, 2).unsqueeze(3)                         # (B, h * out, rows, 1)

    def _store(self, index: int, layer: Layer, y: Tensor, bias: Tensor,
               second: Tensor | None) -> Tensor:
        see = self.observer.see
        if layer.store.stages.gate is not None:
            for part in (y, y + bias):
                hidden, gates = part.chunk(2, 1)
                see(index, "hidden", hidden.abs().amax())
                see(index, "gate", gates.abs().amax())
            hidden, gates = (y + bias).chunk(2, 1)
            y = hidden * F.gelu(gates)
        else:
            see(index, "output", y.abs().amax())
            y = y + bias
        see(index, "output", y.abs().amax())
        if second is not None:
            see(index, "output", second.abs().amax())
            y = y - second if layer.store.residual == "subtract" else y + second
            see(index, "output", y.abs().amax())
        return y
