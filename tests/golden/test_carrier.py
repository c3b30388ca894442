import pytest
import torch

from hqdm.golden import Carrier


def test_a_carrier_is_values_and_an_exponent():
    carrier = Carrier(torch.tensor([[[-3, 5]]], dtype=torch.int16), 2)
    assert carrier.to_float().tolist() == [[[-0.75, 1.25]]]
    assert carrier.batch == ()
    assert Carrier(torch.zeros(7, 1, 1, 1, dtype=torch.int16), 0).batch == (7,)


@pytest.mark.parametrize(("values", "exponent", "error", "text"), [
    (torch.zeros(1, 1, 1), 0, TypeError, "carrier: wanted an int16 tensor, got float32"),
    ([[[1]]], 0, TypeError, "carrier: wanted an int16 tensor, got list"),
    (torch.zeros(1, 1, dtype=torch.int16), 0, ValueError,
     r"wanted shape \(C, H, W\).*got \(1, 1\)"),
    (torch.zeros(1, 0, 1, dtype=torch.int16), 0, ValueError, r"empty dimensions, got \(1, 0, 1\)"),
    (torch.zeros(1, 1, 1, dtype=torch.int16), 32, ValueError,
     r"carrier exponent: wanted -31\.\.31, got 32"),
    (torch.zeros(1, 1, 1, dtype=torch.int16), 1.5, TypeError,
     r"carrier exponent: wanted an integer, got 1\.5"),
])
def test_bad_input_is_refused(values, exponent, error, text):
    with pytest.raises(error, match=text):
        Carrier(values, exponent)
