"""What a layer costs on the Verilated core: its counters, without a look at its results."""

from hqdm.cycles.estimate import Estimate
from hqdm.cycles.tiling import TilePlan
from hqdm.firmware.compile.layers import compile_layer
from hqdm.firmware.device.driver import Driver
from hqdm.firmware.device.layer import DeviceLayer
from hqdm.sim.compare_layer import memory_of, random_case
from hqdm.sim.runtime.device import MemoryModel
from hqdm.sim.transport import VerilatedTransport
from hqdm.spec.config import Config
from hqdm.spec.layer import Layer
from hqdm.spec.stalls import Stalls


def counters(
    layer: Layer, config: Config, memory: MemoryModel, tiles: TilePlan | None = None,
    seed: int = 1,
) -> dict[str, int]:
    """Performance counters of one run of `layer` on random data.

    Tensors begin at multiples of the longest burst, as the cycle model assumes.

    Raises
    ------
    ValueError: a layer that does not fit, or tensors too large to make up.
    RuntimeError: the simulation cannot be built.
    """
    case = random_case(layer, 0, seed)
    program = compile_layer(layer, case.parameters, config, tiles=tiles)
    with VerilatedTransport(config, memory_of(program), memory) as transport:
        device = DeviceLayer(Driver(transport, config, watchdog=0), program)
        return device.run(case.sources, 0, case.second, case.row_factors)[1].counters


def error(estimate: Estimate, measured: dict[str, int]) -> float:
    """Relative error of the estimated cycles."""
    return estimate.cycles / measured["cycles"] - 1


def stall_error(estimate: Estimate, measured: dict[str, int]) -> float:
    """Largest error of a cause of stalls, relative to all cycles."""
    off = estimate.stalls - Stalls.counted(measured)
    return max(map(abs, off.by_cause.values())) / measured["cycles"]
