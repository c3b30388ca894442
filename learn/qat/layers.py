"""Quantised convolution and linear layers: rotate, quantise, rotate back, sum integers, scale."""

import torch.nn.functional as F
from torch import Tensor, nn

from hqdm.learn.qat.lora import FixedWeight, TrainedWeight
from hqdm.learn.qat.quantiser import AsymmetricQuantiser, SymmetricQuantiser
from hqdm.learn.qat.rotation import rotate
from hqdm.learn.qat.rule import Rule

Quantiser = SymmetricQuantiser | AsymmetricQuantiser


class QuantisedLayer(nn.Module):
    """y = (sum of u * w) * step * 2**-order * weight step + bias.

    u = q * H_raw and q = clamp(round(x H_raw / step)) are the operands of the load unit: for
    steps that are powers of two and integer inputs, u and the sums equal golden's exactly.
    Padding zeros come after rotating back. Along the channels, `forward` rotates the weights
    instead of q: the same sums, and there are fewer weights than activations. The sums are of
    integers also under autocast; bfloat16 holds them up to 256: at 4 bits and order 5 all (224).

    Parameters
    ----------
    rule: what is done.
    weight: the integer weights and their scales.
    activation: the quantiser of the rotated input.
    bias: float (O,) or None, frozen.
    """

    bias: Tensor | None

    def __init__(self, rule: Rule, weight: TrainedWeight | FixedWeight, activation: Quantiser,
                 bias: Tensor | None) -> None:
        super().__init__()
        self.rule, self.weight, self.activation = rule, weight, activation
        self.register_buffer("bias", None if bias is None else bias.detach().clone())

    def rotated(self, x: Tensor) -> Tensor:
        """r = x H_raw, what the activation quantiser sees; float32."""
        return rotate(x.float(), self.rule.order, self.rule.dim)

    def operand(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(u, its scale): integers as float, of x's shape; scale () or (B, 1, ..)."""
        q, step = self.activation(self.rotated(x))
        if self.rule.rotated_weights:       # x w = (x H) (H w) 2^-k: the weight holds the 2^-k
            return q, step
        return rotate(q, self.rule.order, self.rule.dim), step * 2.0 ** -self.rule.order

    @property
    def _along_channels(self) -> bool:
        return self.rule.axis == "channel" and not self.rule.rotated_weights

    def forward(self, x: Tensor) -> Tensor:
        w, weight_scale = self.weight()
        if self._along_channels:
            u, scale = self.activation(self.rotated(x))
            w, scale = rotate(w, self.rule.order, 1), scale * 2.0 ** -self.rule.order
        else:
            u, scale = self.operand(x)
        if self.rule.kind == "conv":
            y = F.conv2d(u, w, None, self.rule.stride, self.rule.padding)
            weight_scale = weight_scale[:, None, None]      # (O,) -> (O, 1, 1)
            bias = None if self.bias is None else self.bias[:, None, None]
        else:
            y, bias = F.linear(u, w), self.bias
        y = y.float() * (scale * weight_scale)
        return y if bias is None else y + bias
