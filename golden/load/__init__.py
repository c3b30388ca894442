"""Load: int16 carriers to the integer operand of the multiply.

Stages in order, each a function of integers; `prepare.py` composes the optional first three,
`operands.py` the rest:

1. row affine        sat16(rhe(x * R[row] + S[row], s))       `affine.row_affine`
2. channel affine    sat16(rhe(x * A[c] + B[c], s))           `affine.channel_affine`
3. table             piecewise linear, int16 -> int16         `table.lookup`
4. upsample          nearest, an address
5. rotate            r = x * H_raw                            `hadamard.rotate_bounded`
6. quantise          q = clamp(rhe(r * m[t], s[t]), low[t], high[t])  `quantise.quantise`
7. split             8 bits: q = 16 * hi + lo                 `quantise.split_nibbles`
8. rotate back       u = q * H_raw                            `hadamard.rotate_bounded`
"""

from hqdm.golden.load.hadamard import rotate
from hqdm.golden.load.operands import load_nibbles, load_operands, load_quantised
from hqdm.golden.load.quantise import quantise, split_nibbles

__all__ = [
    "load_nibbles", "load_operands", "load_quantised", "quantise", "rotate", "split_nibbles",
]
