"""A small layer with golden's answer, and boards made of files."""

from types import SimpleNamespace

import pytest
import torch

from hqdm.firmware.device.layer import prepare
from hqdm.firmware.device.transports.emulated import EmulatedBoard
from hqdm.golden.layer import run_layer
from hqdm.golden.random import random_parameters, random_sources
from hqdm.spec import Layer, Load, Multiply, Store, config_by_name

CONFIG = config_by_name("n4")
LAYER = Layer(
    name="small", load=Load(channels=(6, 4), height=4, width=4, axis="width", order=2),
    multiply=Multiply(op="conv3x3", out_channels=5, padding=1), store=Store(residual="add"),
    timesteps=3)


@pytest.fixture
def layer():
    """`layer.check(driver)` runs it at every timestep and compares with golden."""
    generator = torch.Generator().manual_seed(1)
    parameters = random_parameters(LAYER, generator)

    def check(driver):
        prepared = prepare(driver, LAYER, parameters)
        for timestep in range(LAYER.timesteps):
            sources, second = random_sources(LAYER, parameters, timestep, generator)
            wanted = run_layer(LAYER, parameters, sources, timestep, second)
            got, _ = prepared.run(sources, timestep, second)
            assert got.exponent == wanted.exponent and torch.equal(got.values, wanted.values)
        return prepared.program

    return SimpleNamespace(check=check, layer=LAYER, parameters=parameters)


@pytest.fixture
def board(tmp_path):
    """An emulated n4 board of 1 MiB under tmp_path."""
    with EmulatedBoard(tmp_path, CONFIG, 1 << 20) as board:
        yield board
