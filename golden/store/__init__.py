"""Store: partial sums to the int16 carrier of the next layer.

The stages and their order are `hqdm.spec.stages.STORE`; `outputs.APPLY` has the function of each,
one `rhe` and a saturation. `hqdm.golden.arithmetic.finish` turns statistics into the affines of the
next load.
"""

from hqdm.golden.store.bias import add_bias
from hqdm.golden.store.outputs import store_outputs
from hqdm.golden.store.residual import align, combine

__all__ = ["add_bias", "align", "combine", "store_outputs"]
