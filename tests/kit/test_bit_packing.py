"""Integers packed at their bits."""

import pytest
import torch

from hqdm.kit.bit_packing import pack, unpack


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("shape", [(0,), (1,), (5, 3), (7, 3, 3, 3)])
def test_there_and_back(bits, shape):
    generator = torch.Generator().manual_seed(bits)
    limit = 1 << (bits - 1)
    values = torch.randint(-limit, limit, shape, generator=generator).to(torch.int8)
    packed = pack(values, bits)
    assert packed.numel() == -(-values.numel() * bits // 8) and packed.dtype == torch.uint8
    assert torch.equal(unpack(packed, bits, shape), values)


def test_layout_is_lowest_bit_first():
    assert pack(torch.tensor([1, -1, 7], dtype=torch.int8), 4).tolist() == [0xF1, 0x07]


def test_errors():
    with pytest.raises(ValueError, match=r"wanted -8..7 at 4 bits, got -3..9"):
        pack(torch.tensor([-3, 9], dtype=torch.int8), 4)
    with pytest.raises(ValueError, match="wanted 2 bytes for 3 values of 4 bits, got 1"):
        unpack(torch.zeros(1, dtype=torch.uint8), 4, (3,))
