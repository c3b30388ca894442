from dataclasses import replace

import pytest
import torch

from hqdm.golden import Carrier
from hqdm.golden.random import random_parameters
from hqdm.golden.store import store_outputs
from hqdm.spec import Layer, Load, Multiply, Store

LAYER = Layer(name="l", load=Load(channels=(4,), height=3, width=5),
              multiply=Multiply(op="conv1x1", out_channels=2), store=Store(residual="add"),
              timesteps=3)
PARAMETERS = replace(
    random_parameters(LAYER, torch.Generator().manual_seed(1)),
    multipliers=torch.tensor([1, 2]), channel_shift=0, step_multiplier=torch.tensor([1, 2, 3]),
    step_shift=torch.tensor([0, 0, 1]), residual_shift=torch.tensor([0, 1, -1]),
    output_exponent=torch.tensor([5, 6, 7]),
    bias=torch.tensor([[0, 0], [10, 20], [30, 40]], dtype=torch.int16))
ACC = torch.full((2, 3, 5), 100)


def second(exponent, shape=(2, 3, 5)):
    return Carrier(torch.full(shape, 7, dtype=torch.int16), exponent)


@pytest.mark.parametrize(("timestep", "wanted"), [
    (0, [100 + 7, 200 + 7]),
    (1, [200 + 10 + 4, 400 + 20 + 4]),      # 7 / 2 is a tie: 4 is even
    (2, [150 + 30 + 14, 300 + 40 + 14]),
])
def test_every_table_is_read_at_the_timestep(timestep, wanted):
    exponent = int(PARAMETERS.output_exponent[timestep] + PARAMETERS.residual_shift[timestep])
    got = store_outputs(LAYER, PARAMETERS, ACC, timestep, second(exponent))
    assert got.values[:, 0, 0].tolist() == wanted
    assert got.values.dtype == torch.int16
    assert got.exponent == 5 + timestep


def test_a_second_operand_that_does_not_fit_is_refused():
    plain = replace(LAYER, store=Store())
    for layer, operand, text in (
        (LAYER, None, r"l: wanted a second operand \(residual 'add'\), got none"),
        (plain, second(7), r"l: wanted no second operand \(residual 'none'\), got one"),
        (LAYER, second(7, (2, 3, 4)), r"wanted shape \(2, 3, 5\), got \(2, 3, 4\)"),
        (LAYER, second(7, (1, 2, 3, 5)), r"wanted shape \(2, 3, 5\), got \(1, 2, 3, 5\)"),
        (LAYER, second(6),
         r"wanted exponent 7 \(output exponent plus residual_shift\) at timestep 1, got 6"),
    ):
        with pytest.raises(ValueError, match=text):
            store_outputs(layer, PARAMETERS, ACC, 1, operand)
