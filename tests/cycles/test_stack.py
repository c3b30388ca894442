"""Stacked images give each image's rows as it would alone, bit for bit."""

import pytest
import torch

from hqdm.cycles.stack import gap_rows, output_rows, source_rows, stacked
from hqdm.golden.carrier import Carrier
from hqdm.golden.layer import run_layer
from hqdm.golden.random import random_parameters, random_sources
from hqdm.sim.compare_layer import make_layer

IMAGES = 3
CASES = (
    {"op": "linear", "height": 7, "width": 1, "axis": "channel", "order": 3},
    {"op": "conv1x1", "height": 4, "width": 8, "axis": "width", "order": 3},
    {"op": "conv1x1", "height": 5, "width": 4, "stride": 2},
    {"op": "conv3x3", "height": 4, "width": 8, "axis": "width", "order": 3},
    {"op": "conv3x3", "height": 5, "width": 4, "padding": 0},
    {"op": "conv3x3", "height": 6, "width": 4, "padding": 0, "stride": 2},
    {"op": "conv3x3", "height": 4, "width": 4, "stride": 2, "act_bits": 8, "weight_bits": 8},
    {"op": "conv3x3", "height": 5, "width": 4, "stride": 2},
    {"op": "conv3x3", "height": 3, "width": 4, "upsample": 2, "axis": "width", "order": 3},
    {"op": "conv3x3", "height": 3, "width": 4, "upsample": 2, "stride": 2},
    {"op": "conv3x3", "height": 4, "width": 4, "residual": "add"},
)


def stack(layer, carriers, rows, height):
    """The images on top of each other, zeros between them."""
    channels, _, width = carriers[0].values.shape
    values = torch.zeros(channels, height, width, dtype=torch.int16)
    for image, carrier in enumerate(carriers):
        values[:, rows(layer, image)] = carrier.values
    return Carrier(values, carriers[0].exponent)


@pytest.mark.parametrize("case", CASES, ids=lambda c: " ".join(map(str, c.values())))
def test_each_image_as_alone(case):
    layer = make_layer(channels=(8, 8), out_channels=6, timesteps=2, **case)
    whole = stacked(layer, IMAGES)
    generator = torch.Generator().manual_seed(3)
    parameters = random_parameters(layer, generator)
    drawn = [random_sources(layer, parameters, 1, generator) for _ in range(IMAGES)]
    sources = [stack(layer, [d[0][s] for d in drawn], source_rows, whole.load.height)
               for s in range(2)]
    seconds = [d[1] for d in drawn]
    second = None if seconds[0] is None else stack(layer, seconds, output_rows, whole.out_height)
    got = run_layer(whole, parameters, sources, 1, second)
    for image, (alone, other, *_) in enumerate(drawn):
        wanted = run_layer(layer, parameters, alone, 1, other)
        assert torch.equal(got.values[:, output_rows(layer, image)], wanted.values)


@pytest.mark.parametrize(("op", "stride", "upsample", "height", "gap"), [
    ("linear", 1, 1, 4, 0), ("conv3x3", 1, 1, 4, 1), ("conv3x3", 2, 1, 4, 2),
    ("conv3x3", 2, 1, 5, 1), ("conv1x1", 2, 1, 4, 0), ("conv1x1", 2, 1, 5, 1),
    # upsampled, every image begins on an even row
    ("conv3x3", 1, 2, 4, 1), ("conv3x3", 2, 2, 4, 1), ("conv3x3", 2, 2, 5, 1),
    ("conv1x1", 2, 2, 4, 0), ("conv1x1", 2, 2, 5, 0)])
def test_gap(op, stride, upsample, height, gap):
    layer = make_layer(op=op, channels=(8,), out_channels=8, height=height,
                       width=1 if op == "linear" else 4, stride=stride, upsample=upsample)
    assert gap_rows(layer) == gap


def test_refused():
    layer = make_layer(op="linear", channels=(8,), out_channels=8, height=4, width=1)
    assert stacked(layer, 1) == layer
    with pytest.raises(ValueError, match="linear: wanted at least 1 image, got 0"):
        stacked(layer, 0)
    with pytest.raises(ValueError, match=r"height: wanted an integer in 1\.\.65535, got 80000"):
        stacked(layer, 20000)
