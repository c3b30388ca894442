import pytest
import torch
from scipy.linalg import hadamard

from hqdm.golden.load import rotate


def carriers(shape, seed):
    return torch.randint(-32768, 32768, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("order", range(7))
@pytest.mark.parametrize("dim", [-3, -1, 0, 1])
def test_blocks_are_multiplied_by_the_sylvester_matrix(order, dim):
    shape = [3, 5, 2, 4]
    shape[dim] = 3 << order
    x = carriers(shape, seed=order)
    blocks = x.movedim(dim, -1).unflatten(-1, (3, 1 << order))
    wanted = (blocks @ torch.from_numpy(hadamard(1 << order))).flatten(-2).movedim(-1, dim)
    assert torch.equal(rotate(x, order, dim), wanted)


@pytest.mark.parametrize("order", range(7))
def test_rotating_twice_multiplies_by_the_block(order):
    x = carriers((2, 64, 3, 1), seed=order)
    assert torch.equal(rotate(rotate(x, order, 1), order, 1), x << order)


@pytest.mark.parametrize("order", range(7))
def test_the_result_needs_exactly_one_more_bit_per_order(order):
    x = torch.full((1 << order,), -32768)
    assert rotate(x, order, 0).tolist() == [-(1 << (15 + order))] + [0] * ((1 << order) - 1)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="got order 2 and length 6"):
        rotate(torch.zeros(6, dtype=torch.int64), 2, 0)
    with pytest.raises(ValueError, match="got order -1 and length 6"):
        rotate(torch.zeros(6, dtype=torch.int64), -1, 0)
    with pytest.raises(TypeError, match=r"rotate: wanted an int64 tensor, got torch\.int16"):
        rotate(torch.zeros(4, dtype=torch.int16), 2, 0)
