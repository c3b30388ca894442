"""One layer: load, multiply, store."""

from collections.abc import Sequence

from torch import Tensor

from hqdm.golden.carrier import Carrier
from hqdm.golden.load.operands import check_sources, check_timestep, load_operands
from hqdm.golden.multiply.convolution import partial_sums
from hqdm.golden.parameters import Parameters
from hqdm.golden.store.outputs import check_second, store_outputs
from hqdm.golden.store.row_scale import check_factors
from hqdm.spec import Layer

__all__ = ["load_operands", "partial_sums", "run_layer", "store_outputs"]


def check_inputs(layer: Layer, parameters: Parameters, sources: Sequence[Carrier],
                 timestep: int, second: Carrier | None = None,
                 row_factors: Tensor | None = None) -> None:
    """Raise TypeError or ValueError, wanted and got, unless `run_layer` accepts these."""
    parameters.check(layer)
    check_timestep(layer, timestep)
    check_sources(layer, parameters, sources, timestep)
    check_second(layer, parameters, second, timestep, sources[0].batch)
    check_factors(layer, row_factors, sources[0].batch)


def run_layer(layer: Layer, parameters: Parameters, sources: Sequence[Carrier], timestep: int,
              second: Carrier | None = None, row_factors: Tensor | None = None) -> Carrier:
    """The layer's output, bit for bit what the core writes.

    Integers throughout, so the result depends neither on the machine nor on the thread count.

    Parameters
    ----------
    sources: one or two carriers, (C_i, H, W) or (B, C_i, H, W), of the exponent
        `parameters.source_exponent[timestep]`; (C, rows, 1) for linear layers.
    timestep: index into every table, 0..layer.timesteps - 1.
    second: residual operand of the output's shape, exactly if the layer has a residual; its
        exponent is the output's plus `residual_shift[timestep]`.
    row_factors: int16 (H', W') or (B, H', W'), exactly if the layer has a row scale
        (hqdm.golden.store.row_scale.row_factors makes them).

    Returns
    -------
    Carrier (O, H', W') or (B, O, H', W') of exponent `output_exponent[timestep]`.

    Raises
    ------
    TypeError: a wrong dtype.
    ValueError: wrong shapes, exponents, scales, weights or timestep; second operand or row factors
        missing or superfluous.
    """
    check_inputs(layer, parameters, sources, timestep, second, row_factors)
    operands = load_operands(layer, parameters, sources, timestep)
    acc = partial_sums(layer, parameters, operands)
    return store_outputs(layer, parameters, acc, timestep, second, row_factors)
