"""Store: partial sums to the int16 carrier of the next layer.

Stages in order, each one `rhe` and a saturation:

1. channel    mid = sat24(rhe(acc * M[o], S1))              `requantise.requantise`
2. timestep   y = sat16(rhe(mid * Mt[t], St[t]))            `requantise.requantise`
3. row scale  y * R[row]                                    (softmax reciprocal; a later issue)
4. bias       y = sat16(y + bias[t][o])                     `bias.add_bias`
5. second     y = sat16(y +- align(x2))                     `residual.combine`; the gate of GEGLU
                                                            (a product) is a later issue
6. statistics sums per row and channel of y                 (normalisation; a later issue, reads
                                                            y and changes nothing)
"""

from golden.store.bias import add_bias
from golden.store.outputs import store_outputs
from golden.store.requantise import requantise
from golden.store.residual import align, combine

__all__ = ["add_bias", "align", "combine", "requantise", "store_outputs"]
