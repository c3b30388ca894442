"""Load: int16 carriers to the integer operand of the multiply.

Stages in order, each a function of integers; `operands.py` composes them:

1. row affine        x * R[row] + S[row]        (LayerNorm, softmax maximum; comes with a later
2. channel affine    x * A[c] + B[c]             issue: each takes and gives int16, so it slots
3. table             piecewise linear            in before the rotation without touching the rest)
4. upsample          nearest, an address
5. rotate            r = x * H_raw              `hadamard.rotate`
6. quantise          q = clamp(rhe(r * m[t], s[t]), -Q, Q)    `quantise.quantise`
7. split             8 bits: q = 16 * hi + lo   `quantise.split_nibbles`
8. rotate back       u = q * H_raw              `hadamard.rotate`
"""

from golden.load.hadamard import rotate
from golden.load.operands import load_nibbles, load_operands, load_quantised
from golden.load.quantise import quantise, split_nibbles

__all__ = [
    "load_nibbles", "load_operands", "load_quantised", "quantise", "rotate", "split_nibbles",
]
