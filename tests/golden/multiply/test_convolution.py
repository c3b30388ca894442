from dataclasses import replace

import pytest
import torch

from hqdm.golden.multiply import convolve, exact_dtype, partial_sums
from hqdm.golden.multiply.convolution import sum_bound
from hqdm.golden.random import random_parameters
from hqdm.spec import Layer, Load, Multiply

F32, F64 = torch.float32, torch.float64


def column(values):
    """(K,) integers as the channels of one pixel (1, K, 1, 1)."""
    return torch.tensor(values, dtype=torch.int64)[None, :, None, None]


def dot(u, w, dtype):
    weights = column(w)
    return int(convolve(column(u), weights, 1, 0, dtype))


def test_float32_is_exact_at_two_to_the_24_and_fails_one_above():
    u, w = [4096] * 64, [64] * 64                   # 64 products of 2**18
    assert dot(u, w, F32) == 1 << 24
    assert dot([*u, 1], [*w, 1], F32) == 1 << 24    # 2**24 + 1 is not a float32
    assert dot([*u, 1], [*w, 1], F64) == (1 << 24) + 1
    assert dot([*u, 1], [*w, -1], F32) == (1 << 24) - 1


def test_the_float_type_follows_the_bound():
    assert exact_dtype(1 << 24) == F32
    assert exact_dtype((1 << 24) + 1) == F64
    assert exact_dtype(1 << 53) == F64
    with pytest.raises(ValueError, match=r"wanted partial sums up to 2\*\*53, got a bound of"):
        exact_dtype((1 << 53) + 1)


def test_float64_is_exact_at_two_to_the_53_and_fails_one_above():
    u, w = [1 << 30] * 2, [1 << 22] * 2
    assert dot(u, w, F64) == 1 << 53
    assert dot([*u, 1], [*w, 1], F64) == 1 << 53
    assert dot([*u, 1], [*w, -1], F64) == (1 << 53) - 1


def test_shortened_float32_is_not_used():
    try:
        torch.set_float32_matmul_precision("medium")
        assert exact_dtype(1) == F64
    finally:
        torch.set_float32_matmul_precision("highest")
    assert exact_dtype(1) == F32


def exact_sums(u, weights, stride, padding):
    """The same sums in int64, through unfolded patches."""
    x = torch.nn.functional.pad(u, (padding,) * 4)
    kernel = weights.shape[-1]
    patches = x.unfold(2, kernel, stride).unfold(3, kernel, stride)  # (B, I, H', W', R, R)
    return torch.einsum("bihwrs,oirs->bohw", patches, weights)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kernel", [1, 3])
def test_float32_is_exact_for_any_order_of_adding_below_the_bound(seed, kernel):
    """Every product has the largest magnitude that keeps sum |u * w| at most 2**24."""
    g = torch.Generator().manual_seed(seed)
    channels, out = 512, 24
    magnitude = (1 << 24) // (channels * kernel * kernel)
    weights = torch.randint(0, 2, (out, channels, kernel, kernel), generator=g) * 2 - 1
    u = torch.randint(0, 2, (2, channels, 12, 12), generator=g) * 2 - 1
    u[1] = weights[0, :, :1, :1]                # one output adds with one sign all the way
    u = u * magnitude - (u > 0).long() * torch.randint(0, 2, u.shape, generator=g)
    wanted = exact_sums(u, weights, 1, kernel // 2)
    assert torch.equal(convolve(u, weights, 1, kernel // 2, F32), wanted)
    assert torch.equal(convolve(u, weights, 1, kernel // 2, F64), wanted)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("size", [(3, 3), (4, 7), (9, 5)])
def test_stride_and_padding_are_those_of_a_convolution(kernel, stride, padding, size):
    g = torch.Generator().manual_seed(kernel)
    u = torch.randint(-500, 500, (2, 5, *size), generator=g)
    weights = torch.randint(-8, 8, (3, 5, kernel, kernel), generator=g)
    got = convolve(u, weights, stride, padding, F64)
    assert torch.equal(got, exact_sums(u, weights, stride, padding))


def test_the_bound_comes_from_the_weights():
    layer = Layer(name="b", load=Load(channels=(64,), height=4, width=4, axis="channel", order=5),
                  multiply=Multiply(op="conv3x3", out_channels=2))
    parameters = random_parameters(layer, torch.Generator().manual_seed(1))
    parameters.weights.fill_(1)
    parameters.weights[1] = -7
    assert sum_bound(layer, parameters.weights) == 7 * 32 * 7 * 64 * 9
    free = replace(layer, load=replace(layer.load, ranged=True))
    assert sum_bound(free, parameters.weights) == 15 * 32 * 7 * 64 * 9
    assert partial_sums(layer, parameters, torch.full((64, 4, 4), 224)).tolist() == [
        [[224 * 576] * 2] * 2, [[-7 * 224 * 576] * 2] * 2]


def test_sums_do_not_depend_on_the_thread_count():
    g = torch.Generator().manual_seed(5)
    u = torch.randint(-224, 225, (1, 320, 16, 16), generator=g)
    weights = torch.randint(-8, 8, (64, 320, 3, 3), generator=g)
    threads, sums = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            sums += [convolve(u, weights, 1, 1, dtype) for dtype in (F32, F64)]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(s, sums[0]) for s in sums)
