"""Store: partial sums to the int16 carrier of the next layer.

Stages in order, each one `rhe` and a saturation; `outputs.py` composes 1 to 4 and 6, as the core
has them, `staged.py` all:

1. channel    mid = sat24(rhe(acc * M[o], S1))              `requantise.channel_scale`
2. row scale  mid = sat24(rhe(mid * R[row], L[row] - g))    `row_scale.row_scale`, softmax
3. timestep   y = sat16(rhe(mid * Mt[t], St[t]))            `requantise.step_scale`
4. bias       y = sat16(y + bias[t][class][o])              `bias.add_bias`
5. gate       y = sat16(rhe(y[c] * table(y[c + C]), s[t]))  `gate.gate`, GEGLU
6. second     y = sat16(y +- align(x2))                     `residual.combine`
7. statistics sums and maxima of y, which stays as it is    `statistics.gather`

`finish.py` turns statistics into the affines of the next load.
"""

from hqdm.golden.store.bias import add_bias
from hqdm.golden.store.outputs import store_outputs
from hqdm.golden.store.requantise import requantise
from hqdm.golden.store.residual import align, combine

__all__ = ["add_bias", "align", "combine", "requantise", "store_outputs"]
