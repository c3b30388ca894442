"""Layers at the edges of the machine that random ones meet seldom or never, bit for bit."""

from dataclasses import replace

import pytest
import torch

from hqdm.cycles.tiling import candidates
from hqdm.firmware.compile.layers import compile_layer
from hqdm.firmware.device.driver import Driver
from hqdm.golden.carrier import Carrier
from hqdm.golden.load import load_quantised
from hqdm.sim.compare_layer import Case, make_layer, random_case
from hqdm.sim.tests.test_random_layers import check_run
from hqdm.sim.transport import VerilatedTransport
from hqdm.spec import config_by_name
from hqdm.spec.fixed import CARRIER, weight_range


def check(case, name, tiles=None):
    config = config_by_name(name)
    program = compile_layer(case.layer, case.parameters, config, 1 << 26, tiles=tiles)
    with VerilatedTransport(config, program.end) as transport:
        check_run(case, Driver(transport, config), program)


@pytest.mark.parametrize("name", ["n4", "n16"])
@pytest.mark.parametrize(("height", "width"), [(3, 5), (5, 4), (4, 3), (9, 9)])
def test_a_strided_convolution_without_padding(name, height, width):
    """Of an odd number of rows the last is read, of an even number it is not."""
    layer = make_layer(op="conv3x3", channels=(5,), out_channels=6, height=height, width=width,
                       stride=2)
    check(random_case(replace(layer, multiply=replace(layer.multiply, padding=0)), 0, 1), name)


@pytest.mark.parametrize("words", [(1, 4), (2, 4), (4, 4), (3, 5), (5, 4)])
def test_a_second_source_of_many_words_along_the_width(words):
    config = config_by_name("n4")
    layer = make_layer(op="conv1x1", channels=tuple(config.n * w for w in words), out_channels=4,
                       height=2, width=4, axis="width", order=2)
    for tiles in candidates(layer, config):
        check(random_case(layer, 0, 2), "n4", tiles)


@pytest.mark.parametrize("name", ["n4", "n8", "n16"])
@pytest.mark.parametrize("weight", weight_range(8))
def test_the_largest_sums_of_8_by_8_bits(name, weight):
    """Beyond 24 bits: every operand and every weight at its end, in as many channels as it takes.
    """
    layer = make_layer(op="linear", channels=(600,), out_channels=3, height=4, width=1,
                       act_bits=8, weight_bits=8)
    case = random_case(layer, 0, 3)
    parameters = replace(
        case.parameters, weights=torch.full_like(case.parameters.weights, weight),
        channel_shift=20, multipliers=torch.full_like(case.parameters.multipliers, 1 << 12),
        step_multiplier=torch.full_like(case.parameters.step_multiplier, 1),
        step_shift=torch.zeros_like(case.parameters.step_shift))
    values = torch.full_like(case.sources[0].values, CARRIER.high)
    values[:, 1] = CARRIER.low
    case = Case(layer, parameters, 0, [Carrier(values, case.sources[0].exponent)], None, None)
    operands = load_quantised(layer, parameters, case.sources, 0)
    assert operands.abs().min() >= 119 and 600 * 119 * abs(weight) > 1 << 23
    check(case, name)


def test_operands_that_fill_the_buffer_to_the_last_word():
    """4 words of 256 rows are the 1024 words of a half of n4's buffer."""
    config = config_by_name("n4")
    layer = make_layer(op="linear", channels=(16,), out_channels=3, height=256, width=1)
    full, = (tiles for tiles in candidates(layer, config)
             if tiles.chunk_words * tiles.plane_words == config.buffer_words)
    check(random_case(layer, 0, 4), "n4", full)
