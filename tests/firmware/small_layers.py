"""Two small layers with random numbers, and the functional device that runs them."""

import torch

from hqdm.firmware.device.driver import Driver
from hqdm.firmware.device.transports.golden import GoldenTransport
from hqdm.golden.random import random_parameters, random_sources
from hqdm.spec import Layer, Load, Multiply, Store, StoreStages, config_by_name

CONFIG = config_by_name("n4")
LAYER = Layer(
    name="small", load=Load(channels=(6, 4), height=4, width=4, axis="width", order=2),
    multiply=Multiply(op="conv3x3", out_channels=5, padding=1), store=Store(residual="add"),
    timesteps=3)
MIX = Layer(name="mix", load=Load(channels=(9,), height=6, width=1, bits=8),
            multiply=Multiply(op="linear", out_channels=5, bits=8),
            store=Store(stages=StoreStages(row_scale=True)), timesteps=2)


def device(config=CONFIG):
    return Driver(GoldenTransport(config, 1 << 22), config)


def operands(layer, timestep, seed=1):
    """(parameters, sources, second operand or None)."""
    generator = torch.Generator().manual_seed(seed)
    parameters = random_parameters(layer, generator)
    return parameters, *random_sources(layer, parameters, timestep, generator)
