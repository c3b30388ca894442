"""One layer of random data on the device and in the golden model: mismatches and cycles."""

import time
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from hqdm.cycles.tiling import plan
from hqdm.firmware.compile.layers import compile_layer
from hqdm.firmware.compile.program import LayerProgram
from hqdm.firmware.device.driver import Driver
from hqdm.firmware.device.layer import DeviceLayer
from hqdm.firmware.device.transport import Transport
from hqdm.golden.carrier import Carrier
from hqdm.golden.layer import run_layer
from hqdm.golden.parameters import Parameters
from hqdm.golden.random import random_factors, random_parameters, random_sources
from hqdm.spec import Config, Layer, Load, Multiply, Store
from hqdm.spec.fixed import MAX_ORDER
from hqdm.spec.layer import Axis, Op, Residual
from hqdm.spec.precision import Format, with_format
from hqdm.spec.stalls import Stalls

Backend = Literal["rtl", "golden"]
GRAIN = 1 << 16     # device memory is a multiple of this many bytes
MAX_ELEMENTS = 1 << 26      # of a tensor of random data
MAX_SEED = (1 << 63) - 1


def make_layer(
    *, op: Op, channels: tuple[int, ...], out_channels: int, height: int, width: int,
    act_bits: int = 4, weight_bits: int = 4, axis: Axis = "none", order: int = 5,
    stride: int = 1, upsample: int = 1, padding: int | None = None,
    residual: Residual = "none", timesteps: int = 1, ranged: bool = False,
) -> Layer:
    """A layer of the given shape; `order` is reduced to what the axis admits.

    Parameters
    ----------
    padding: None for 1 at conv3x3, else 0.

    Raises
    ------
    ValueError: an unsupported value.
    """
    if not 0 <= order <= MAX_ORDER:
        raise ValueError(f"order: wanted 0..{MAX_ORDER}, got {order}")
    plain = Layer(
        name=op, load=Load(channels=channels, height=height, width=width, upsample=upsample),
        multiply=Multiply(op=op, out_channels=out_channels, stride=stride,
                          padding=int(op == "conv3x3") if padding is None else padding),
        store=Store(residual=residual), timesteps=timesteps)
    return with_format(plain, Format(weight_bits=weight_bits, activation_bits=act_bits, axis=axis,
                                     order=order, ranged=ranged))


@dataclass(frozen=True)
class Case:
    """A layer with random parameters and operands of one timestep."""

    layer: Layer
    parameters: Parameters
    timestep: int
    sources: list[Carrier]
    second: Carrier | None
    row_factors: Tensor | None = None

    def golden(self) -> Carrier:
        """What the device must write."""
        return run_layer(self.layer, self.parameters, self.sources, self.timestep, self.second,
                         self.row_factors)


def random_case(layer: Layer, timestep: int, seed: int) -> Case:
    """Deterministic random data for `layer`.

    Raises
    ------
    ValueError: a timestep beyond the tables, a bad seed, or tensors too large to make up.
    """
    if not 0 <= timestep < layer.timesteps:
        raise ValueError(f"timestep: wanted 0..{layer.timesteps - 1}, got {timestep}")
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed: wanted 0..{MAX_SEED}, got {seed}")
    load, multiply = layer.load, layer.multiply
    sizes = {"source": load.total_channels * load.height * load.width,
             "output": multiply.out_channels * layer.out_height * layer.out_width,
             "weights": multiply.out_channels * layer.depth,
             "bias": multiply.out_channels * layer.timesteps}
    for name, size in sizes.items():
        if size > MAX_ELEMENTS:
            raise ValueError(f"{layer.name}: {name} of {size} elements does not fit; wanted at "
                             f"most {MAX_ELEMENTS} elements of random data")
    generator = torch.Generator().manual_seed(seed)
    parameters = random_parameters(layer, generator)
    return Case(layer, parameters, timestep,
                *random_sources(layer, parameters, timestep, generator),
                random_factors(layer, generator))


def memory_of(program: LayerProgram) -> int:
    """Bytes of a memory, from address 0 on, that holds the layer."""
    return -(-program.end // GRAIN) * GRAIN


def make_transport(
    backend: Backend, config: Config, memory_bytes: int, memory_latency: int, seed: int,
) -> Transport:
    """A device of `config`; the latency counts for "rtl" only.

    Raises
    ------
    ValueError: an unknown backend or a latency below 1.
    """
    if memory_latency < 1:
        raise ValueError(f"memory latency: wanted at least 1 cycle, got {memory_latency}")
    if backend == "golden":
        from hqdm.firmware.device.transports.golden import GoldenTransport
        return GoldenTransport(config, memory_bytes)
    if backend != "rtl":
        raise ValueError(f"backend: wanted rtl or golden, got {backend!r}")
    from hqdm.sim.runtime.device import MemoryModel
    from hqdm.sim.transport import VerilatedTransport
    return VerilatedTransport(
        config, memory_bytes, MemoryModel(latency=memory_latency, seed=seed))


def _report(program: LayerProgram, counters: dict[str, int], seconds: float) -> dict[str, Any]:
    layer, config, cycles = program.layer, program.config, counters["cycles"]
    ideal = layer.macs / config.n ** 2
    return {
        "config": config.name,
        "macs": layer.macs,
        "ideal_cycles": ideal,
        "cycles": cycles,
        "utilization": ideal / cycles if cycles else None,
        "stalls": Stalls.counted(counters).by_cause,
        "cycles_per_second": cycles / seconds if cycles else None,
        "busy": counters["busy"],
        "beats": {name.removesuffix("_beats"): count for name, count in counters.items()
                  if name.endswith("_beats")},
        "estimated_cycles": program.plan.cycles,
        "plan": {name: value for name, value in asdict(program.plan).items() if name != "cycles"},
    }


def compare_layer(
    layer: Layer, config: Config, *, backend: Backend = "rtl", timestep: int = 0,
    memory_latency: int = 40, seed: int = 1, transport: Transport | None = None,
) -> dict[str, Any]:
    """Run `layer` on random data on a device and in the golden model.

    Parameters
    ----------
    backend: of a device made for it; `transport` is one that is there already, and is reset first.

    Returns
    -------
    mismatches, outputs, macs, ideal_cycles (macs / n**2), cycles, utilization (ideal_cycles /
    cycles), stalls by cause, cycles_per_second of the simulation, and what else the driver
    knows. The golden backend has no cycles: 0 or None.

    Raises
    ------
    ValueError, TypeError: bad arguments, or a layer that does not fit.
    DeviceError, RuntimeError: the device failed, or could not be built.
    """
    tiles = plan(layer, config)     # refuses before any data is made
    case = random_case(layer, timestep, seed)
    place = () if transport is None else (transport.memory_bytes, transport.memory_base)
    program = compile_layer(layer, case.parameters, config, *place, tiles=tiles)
    if transport is None:
        driver = Driver(make_transport(backend, config, memory_of(program), memory_latency, seed),
                        config)
    else:
        driver = Driver(transport, config)
        driver.soft_reset()
    device = DeviceLayer(driver, program)
    start = time.perf_counter()
    output, run = device.run(case.sources, timestep, case.second, case.row_factors)
    seconds = time.perf_counter() - start
    wanted = case.golden()
    return {
        "mismatches": int((output.values != wanted.values).sum()),
        "outputs": wanted.values.numel(),
    } | _report(program, run.counters, seconds)
