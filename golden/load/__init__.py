"""Load: int16 carriers to the integer operand of the multiply.

The stages and their order are `hqdm.spec.stages.LOAD`, each a function of integers; `prepare.APPLY`
has the optional ones, `operands.APPLY` those of every layer. Between the two comes nearest
upsampling, which is an address; before the last, 8 bits are split: q = 16 * hi + lo.
"""

from hqdm.golden.load.hadamard import rotate
from hqdm.golden.load.operands import load_nibbles, load_operands, load_quantised
from hqdm.golden.load.quantise import quantise

__all__ = ["load_nibbles", "load_operands", "load_quantised", "quantise", "rotate"]
