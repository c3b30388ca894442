"""Random layers over every option on the Verilated core, bit for bit against golden.

Each runs behind a memory of random latency, bandwidth and back-pressure. A few in every run;
`pytest sim/tests/test_random_layers.py --random-layers 300` for hundreds.
"""

import random

import numpy as np
import pytest
import torch

from hqdm.cycles.tiling import TilePlan, candidates
from hqdm.firmware.compile.layers import compile_layer
from hqdm.firmware.compile.program import LayerProgram
from hqdm.firmware.device.driver import Driver
from hqdm.firmware.device.layer import DeviceLayer, Operands
from hqdm.golden.random import random_factors, random_layer, random_sources
from hqdm.sim.compare_layer import Case, random_case
from hqdm.sim.runtime.device import CHANNELS, PORTS, MemoryModel
from hqdm.sim.transport import VerilatedTransport
from hqdm.spec import Config, Layer, config_by_name
from hqdm.spec.stalls import Spent

CONFIGS = ("n4", "n8", "n16")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    first = metafunc.config.getoption("--random-seed")
    seeds = range(first, first + metafunc.config.getoption("--random-layers"))
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize(
            ("name", "seed"), [(name, seed) for seed in seeds for name in CONFIGS])


def draw_layer(rng: random.Random, config: Config) -> tuple[Layer, TilePlan]:
    """A random layer that fits the configuration, and the best or any plan for it."""
    while True:
        layer = random_layer(rng, config)
        plans = sorted(candidates(layer, config), key=lambda p: p.cycles)
        if plans:
            return layer, rng.choice((plans[0], rng.choice(plans)))


def draw_memory(rng: random.Random, config: Config) -> MemoryModel:
    """Anything from a perfect memory to a slow one that stalls at random on every channel."""
    low = rng.choice((1, 1, 5, 40))
    bandwidth = rng.choice((None, None, config.bus_bytes, 2 * config.bus_bytes))
    stall = {channel: rng.choice((0, 0, 100, 500)) for channel in CHANNELS}
    return MemoryModel(latency=(low, low + rng.choice((0, 3, 60))), bandwidth=bandwidth,
                       outstanding=rng.choice((0, 0, 1, 4)), stall=stall,
                       seed=rng.randrange(1 << 30))


def check_writes(before: np.ndarray, after: np.ndarray, program: LayerProgram) -> None:
    """Nothing but the output was written."""
    changed = np.flatnonzero(before != after)
    if changed.size:
        assert changed[0] >= program.output
        assert changed[-1] < program.output + program.output_bytes


def check_run(case: Case, driver: Driver, program: LayerProgram) -> None:
    """One run: outputs, memory outside them, counters, nothing left in flight."""
    transport = driver.transport
    assert isinstance(transport, VerilatedTransport)
    layer = DeviceLayer(driver, program)
    layer.write(Operands(sources=case.sources, second=case.second, factors=case.row_factors))
    transport.write_memory(program.output, b"\xa5" * program.output_bytes)
    before = transport.device.memory.copy()
    output, run = layer.run(case.sources, case.timestep, case.second, case.row_factors)
    check_writes(before, transport.device.memory, program)
    assert torch.equal(output.values, case.golden().values)
    counters, config = run.counters, program.config
    assert counters["store_write_beats"] * config.bus_bytes == program.output_bytes
    spent = Spent.counted(counters)
    assert spent.busy + spent.stalls.total == spent.cycles == counters["cycles"]
    for port in PORTS:
        assert transport.device.traffic(port).pending == 0
    assert transport.device.traffic("store", "write").pending == 0


@pytest.mark.random_layers
def test_random_layer(name: str, seed: int) -> None:
    config, rng = config_by_name(name), random.Random(f"{name} {seed}")
    (layer, tiles), memory = draw_layer(rng, config), draw_memory(rng, config)
    print(layer, tiles, memory, sep="\n")
    case = random_case(layer, rng.randrange(layer.timesteps), seed)
    program = compile_layer(layer, case.parameters, config, 1 << 26, tiles=tiles,
                            alignment=config.word_bytes)
    with VerilatedTransport(config, program.end, memory) as transport:
        driver = Driver(transport, config)
        check_run(case, driver, program)
        timestep = rng.randrange(layer.timesteps)
        generator = torch.Generator().manual_seed(seed + 1)
        operands = random_sources(layer, case.parameters, timestep, generator)
        factors = random_factors(layer, generator)
        check_run(Case(layer, case.parameters, timestep, *operands, factors), driver, program)
