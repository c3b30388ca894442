"""The Hadamard on floats: golden's on integers, its own inverse."""

import pytest
import torch

from hqdm.golden.load.hadamard import rotate as rotate_integers
from hqdm.learn.qat.rotation import hadamard, rotate


@pytest.mark.parametrize("order", range(7))
@pytest.mark.parametrize("dim", [1, -1, 2])
def test_equals_the_golden_rotation(order, dim):
    generator = torch.Generator().manual_seed(order)
    x = torch.randint(-2000, 2000, (2, 64, 64, 128), generator=generator)[:, :, ::16]
    if dim == 2:
        x = x.transpose(1, 2)
        dim = 2
    assert torch.equal(rotate(x.float(), order, dim).to(torch.int64),
                       rotate_integers(x, order, dim))


@pytest.mark.parametrize("order", range(7))
@pytest.mark.parametrize("dim", [1, 3])
def test_rotation_and_back_is_the_identity(order, dim):
    x = torch.randn(2, 64, 3, 64, generator=torch.Generator().manual_seed(order))
    back = rotate(rotate(x, order, dim), order, dim) * 2.0 ** -order
    torch.testing.assert_close(back, x, atol=1e-5, rtol=0)


def test_blocks_do_not_mix():
    x = torch.zeros(1, 1, 1, 24)
    x[..., 9] = 1
    y = rotate(x, 3, -1)
    assert y[..., 8:16].abs().eq(1).all() and y[..., :8].eq(0).all() and y[..., 16:].eq(0).all()


def test_full_precision_under_autocast():
    x = torch.randn(1, 3, 64, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(rotate(x, 5, -1), rotate(x.clone(), 5, -1))
        low = rotate(x, 5, -1)
    assert low.dtype == torch.float32 and torch.equal(low, rotate(x, 5, -1))


def test_errors():
    with pytest.raises(ValueError, match="whole blocks of 8, got length 12"):
        rotate(torch.zeros(1, 12), 3, -1)
    with pytest.raises(ValueError, match=r"wanted 0..6, got 7"):
        hadamard(7)
