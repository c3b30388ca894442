"""The core is given the row scale, and no stages it does not have."""

from dataclasses import replace

import pytest
import torch

from hqdm.firmware.compile.packing import unpack_activation
from hqdm.firmware.compile.program import Allocator, compile_layer
from hqdm.firmware.device.driver import Driver
from hqdm.firmware.device.transports.golden import GoldenTransport
from hqdm.golden.layer import run_layer
from hqdm.golden.random import random_factors, random_parameters, random_sources
from hqdm.spec import PRESETS, Layer, Load, LoadStages, Multiply, Store, StoreStages, Table


def test_stages_are_refused_by_name():
    layer = Layer(
        name="conv1",
        load=Load(channels=(8,), height=4, width=4, stages=LoadStages(
            channel="group_norm", groups=2,
            table=Table(function="silu", in_exponent=11, out_exponent=11))),
        multiply=Multiply(op="conv1x1", out_channels=8),
        store=Store(stages=StoreStages(statistics=("channel",))))
    parameters = random_parameters(layer, torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=r"conv1: wanted a layer of the stages the core has .*, "
                                         r"got channel affine, table, channel statistics; golden"):
        compile_layer(layer, parameters, PRESETS["n4"], Allocator(1 << 20, 8))


MIX = Layer(name="mix", load=Load(channels=(9,), height=6, width=1, bits=8),
            multiply=Multiply(op="linear", out_channels=5, bits=8),
            store=Store(stages=StoreStages(row_scale=True)), timesteps=2)


def test_row_factors_are_in_every_channel_of_the_second_operand():
    config, generator = PRESETS["n4"], torch.Generator().manual_seed(1)
    parameters = random_parameters(MIX, generator)
    sources, second = random_sources(MIX, parameters, 1, generator)
    factors = random_factors(MIX, generator)
    driver = Driver(GoldenTransport(config, 1 << 20), config)
    prepared = driver.prepare(MIX, parameters)
    got = prepared.run(sources, 1, second, factors).output
    assert torch.equal(got.values, run_layer(MIX, parameters, sources, 1, None, factors).values)
    program = prepared.program
    assert program.descriptor.row_scale == 1 and program.descriptor.residual == 0
    assert program.second == program.descriptor.second > 0
    image = driver.transport.read_memory(program.second, program.output_bytes)
    lanes = unpack_activation(image, 5, 6, 1, config.n)
    assert all(torch.equal(lane, factors) for lane in lanes)


def test_without_row_scale_there_is_no_second_operand():
    plain = replace(MIX, store=Store())
    parameters = random_parameters(plain, torch.Generator().manual_seed(1))
    program = compile_layer(plain, parameters, PRESETS["n4"], Allocator(1 << 20, 8))
    assert program.second == 0 and program.descriptor.row_scale == 0
    with_factors = compile_layer(MIX, parameters, PRESETS["n4"], Allocator(1 << 20, 8))
    assert with_factors.output - program.output == program.output_bytes


def test_factors_exactly_for_a_row_scale():
    config, generator = PRESETS["n4"], torch.Generator().manual_seed(1)
    parameters = random_parameters(MIX, generator)
    sources, _ = random_sources(MIX, parameters, 0, generator)
    driver = Driver(GoldenTransport(config, 1 << 20), config)
    with pytest.raises(ValueError, match=r"mix: wanted row factors \(row scale True\), got none"):
        driver.run_layer(MIX, parameters, sources, 0)
