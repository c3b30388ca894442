"""Layers placed and encoded: alone or together, by one rule."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from hqdm.cycles.tiling import candidates
from hqdm.firmware.compile.layers import CoreLayer, compile_layer, compile_layers
from hqdm.firmware.compile.memory_plan import Region
from hqdm.golden.random import random_parameters
from hqdm.spec import (
    Layer,
    Load,
    LoadStages,
    Multiply,
    Store,
    StoreStages,
    Table,
)
from tests.firmware.small_layers import CONFIG, LAYER, MIX


def parameters_of(layer):
    return random_parameters(layer, torch.Generator().manual_seed(1))


def compiled(layer, *arguments, **options):
    return compile_layer(layer, parameters_of(layer), CONFIG, *arguments, **options)


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
        compile_layer(layer, parameters, CONFIG)


def spans(program):
    return sorted((address, address + size) for _, address, size in program.places)


@pytest.mark.parametrize("alignment", [None, CONFIG.word_bytes])
@pytest.mark.parametrize("base", [0, 0x3C000000])
@pytest.mark.parametrize("layer", [LAYER, MIX, replace(MIX, store=Store())])
def test_a_layer_alone_has_everything_apart(layer, base, alignment):
    program = compiled(layer, 1 << 16, base, alignment=alignment)
    found = spans(program)
    assert all(end <= start for (_, end), (start, _) in pairwise(found))
    assert base <= found[0][0] and program.end == found[-1][1] <= base + (1 << 16)
    assert all(start % (alignment or CONFIG.burst_bytes) == 0 for start, _ in found)
    assert {address for address, _ in program.pieces} <= {start for start, _ in found}
    names = [name for name, _, _ in program.places]
    assert names.count("source") == len(layer.load.channels) and "output" in names
    assert program.parameters.weights.shape[0] == layer.multiply.out_channels


def test_without_row_scale_there_is_no_second_operand():
    plain, scaled = compiled(replace(MIX, store=Store())), compiled(MIX)
    assert plain.second == 0 and plain.descriptor.row_scale == 0
    assert "second" not in [name for name, _, _ in plain.places]
    assert ("second", scaled.second, scaled.output_bytes) in scaled.places


def test_tiles_as_asked():
    slowest = max(candidates(LAYER, CONFIG), key=lambda plan: plan.cycles)
    assert compiled(LAYER, tiles=slowest).plan == slowest != compiled(LAYER).plan


def test_layers_share_a_tensor():
    """The output of one is the source of the next; what is their own has space of its own."""
    first = replace(LAYER, name="first", load=replace(LAYER.load, channels=(5,)), store=Store())
    second = replace(first, name="second")
    size = 4 * 4 * CONFIG.words(5) * CONFIG.word_bytes
    shared = Region(name="tensor y", size=size, alignment=CONFIG.burst_bytes, first=0, last=1)
    memory, (one, two) = compile_layers(
        [CoreLayer(index=0, layer=first, parameters=parameters_of(first), output="y"),
         CoreLayer(index=1, layer=second, parameters=parameters_of(second), sources=("y",))],
        [shared], CONFIG, "two layers")
    assert one.output == two.sources[0] == memory.table()["tensor y"]
    assert one.sources[0] == memory.table()["first: source0"]
    assert one.sources[0] == two.output     # never needed at the same time
    assert memory.total_bytes == max(one.end, two.end)


def test_weights_of_the_host_have_space_but_no_image():
    plain = replace(MIX, store=Store())
    none = replace(parameters_of(plain), weights=torch.zeros(0, dtype=torch.int16))
    _, (program,) = compile_layers(
        [CoreLayer(layer=plain, parameters=none, host_weights=True)], [], CONFIG, "a head")
    assert program.at.weights not in [address for address, _ in program.pieces]
    assert "weights" in [name for name, _, _ in program.places]
    with pytest.raises(ValueError, match=r"weights: wanted shape \(5, 9, 1, 1\), got \(0,\)"):
        compile_layer(plain, none, CONFIG)


def test_memory_that_does_not_fit():
    with pytest.raises(ValueError, match=r"^layer small on n4: wanted \d+ bytes of memory \(\d+ of "
                                         r"constants, \d+ of activations\), the device has 1024$"):
        compiled(LAYER, 1024)
