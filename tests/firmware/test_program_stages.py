"""The core is not given stages it does not have."""

import pytest
import torch

from firmware.program import Allocator, compile_layer
from golden.random import random_parameters
from spec import PRESETS, Layer, Load, LoadStages, Multiply, Store, StoreStages, Table


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
