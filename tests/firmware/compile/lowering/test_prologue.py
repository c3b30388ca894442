"""Normalisations as a prologue: per timestep, with what the time embedding scales and shifts."""

import torch
from torch import nn

from hqdm.firmware.compile.lowering.prologue import PLAIN, group_norm, layer_norm


def test_group_norm_takes_scale_and_shift():
    norm = nn.GroupNorm(2, 4, eps=1e-6)
    nn.init.constant_(norm.weight, 3.0)
    nn.init.constant_(norm.bias, 0.5)
    scale, shift = torch.tensor([[1.0] * 4, [0.0] * 4]), torch.tensor([[2.0] * 4, [0.0] * 4])
    plain, scaled = group_norm(norm, 2), group_norm(norm, 2, "silu", (scale.double(), shift))
    assert (plain.groups, plain.epsilon, plain.table) == (2, 1e-6, None)
    assert plain.gamma.tolist() == [[3.0] * 4] * 2 and plain.beta.tolist() == [[0.5] * 4] * 2
    assert scaled.gamma.tolist() == [[6.0] * 4, [3.0] * 4]
    assert scaled.beta.tolist() == [[3.0] * 4, [0.5] * 4] and scaled.table.function == "silu"
    assert scaled.stages(2).names == ("channel affine", "table")


def test_a_norm_without_numbers_changes_nothing():
    found = layer_norm(nn.LayerNorm(3, elementwise_affine=False), 1)
    assert (found.gamma.tolist(), found.beta.tolist()) == ([[1.0] * 3], [[0.0] * 3])
    assert found.row == "layer_norm" and found.stages(1).names == ("row affine", "channel affine")


def test_two_plain_sources_are_aligned():
    assert not PLAIN.stages(1).names and PLAIN.stages(2).names == ("channel affine",)
