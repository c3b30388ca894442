"""Packing against plain loops that follow docs/architecture.md letter by letter."""

import time

import pytest
import torch

from hqdm.firmware.compile.packing import (
    pack_activation,
    pack_vector,
    pack_weights,
    unpack_activation,
    unpack_vector,
    unpack_weights,
)
from hqdm.spec.config import Config
from hqdm.spec.fixed import nibbles, weight_range


def random_weights(shape, bits, seed):
    generator = torch.Generator().manual_seed(seed)
    low, high = weight_range(bits)
    return torch.randint(low, high + 1, shape, generator=generator).to(torch.int16)


def naive_activation(values, n):
    channels, height, width = values.shape
    out = bytearray()
    for y in range(height):
        for x in range(width):
            for c in range(-(-channels // n) * n):
                value = int(values[c, y, x]) if c < channels else 0
                out += value.to_bytes(2, "little", signed=True)
    return bytes(out)


def naive_tile(weights, rows, columns, tap, bits, nibble, n):
    """One tile: `rows` and `columns` are channel indices or None for padding."""
    image = 0
    for r, i in enumerate(rows):
        for c, o in enumerate(columns):
            w = 0 if i is None or o is None else int(weights[o, i, tap[0], tap[1]])
            if bits == 8:
                low = (w & 15) - (16 if w & 8 else 0)
                w = (w - low) // 16 if nibble else low
            width = min(bits, 4)
            image |= (w & ((1 << width) - 1)) << ((r * n + c) * width)
    beats = -(-n * n * min(bits, 4) // (8 * n))
    return image.to_bytes(beats * n, "little")


def padded(first, count, n):
    return [first + i if i < count else None for i in range(-(-count // n) * n)]


def naive_weights(weights, channels, bits, n):
    inputs, first = [], 0
    for count in channels:
        inputs += padded(first, count, n)
        first += count
    outputs = padded(0, weights.shape[0], n)
    out = bytearray()
    for o in range(0, len(outputs), n):
        for i in range(0, len(inputs), n):
            for dy in range(weights.shape[2]):
                for dx in range(weights.shape[3]):
                    for nibble in range(nibbles(bits)):
                        out += naive_tile(weights, inputs[i:i + n], outputs[o:o + n], (dy, dx),
                                          bits, nibble, n)
    return bytes(out)


@pytest.mark.parametrize("channels", [1, 4, 7])
def test_activation(channels):
    generator = torch.Generator().manual_seed(channels)
    values = torch.randint(-32768, 32768, (channels, 3, 5), generator=generator).to(torch.int16)
    data = pack_activation(values, 4)
    assert data == naive_activation(values, 4)
    assert torch.equal(unpack_activation(data, channels, 3, 5, 4), values)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize(("n", "channels", "kernel"), [
    (4, (3,), 3), (4, (5, 2), 1), (8, (1, 9), 3), (16, (20,), 1)])
def test_weights(bits, n, channels, kernel):
    weights = random_weights((n + 1, sum(channels), kernel, kernel), bits, seed=7)
    data = pack_weights(weights, channels, bits, n)
    assert data == naive_weights(weights, channels, bits, n)
    config = Config(name="t", n=n, buffer_words=64, acc_words=16)
    words = sum(config.words(c) for c in channels)
    tiles = 2 * words * kernel ** 2 * nibbles(bits)
    assert len(data) == tiles * config.weight_tile_beats(min(bits, 4)) * config.bus_bytes
    back = unpack_weights(data, 2, words, kernel, min(bits, 4), nibbles(bits), n)
    first = 0
    for source, count in enumerate(channels):
        at = config.words(channels[0]) * n * source
        assert torch.equal(back[:n + 1, at:at + count], weights[:, first:first + count])
        first += count
    assert back.abs().sum() == weights.abs().sum()      # the rest is zero


def test_all_8_bit_weights_split_into_signed_nibbles():
    values = torch.arange(-136, 120).to(torch.int16).reshape(16, 16, 1, 1)
    data = pack_weights(values, (16,), 8, 16)
    assert torch.equal(unpack_weights(data, 1, 1, 1, 4, 2, 16), values)


def test_vectors():
    data = pack_vector(torch.tensor([1, 65535, 3]), 4, "<u2")
    assert data == bytes([1, 0, 255, 255, 3, 0, 0, 0])
    assert unpack_vector(data, "<u2").tolist() == [1, 65535, 3, 0]
    assert pack_vector(torch.tensor([-2]), 4, "<i2") == bytes([254, 255] + [0] * 6)


def test_speed():
    weights = random_weights((1536, 384, 1, 1), 4, seed=1)
    start = time.perf_counter()
    pack_weights(weights, (384,), 4, 16)
    assert time.perf_counter() - start < 1


def test_bad_arguments():
    with pytest.raises(TypeError, match=r"wanted torch.int16, got torch.int32"):
        pack_activation(torch.zeros(1, 1, 1, dtype=torch.int32), 4)
    with pytest.raises(ValueError, match=r"wanted \(C, H, W\), got shape \(1, 1\)"):
        pack_activation(torch.zeros(1, 1, dtype=torch.int16), 4)
    with pytest.raises(ValueError, match=r"wanted \(O, 3, R, R\), got \(1, 2, 1, 1\)"):
        pack_weights(torch.zeros(1, 2, 1, 1, dtype=torch.int16), (3,), 4, 4)
    with pytest.raises(ValueError, match=r"wanted -8..7, got 8..8"):
        pack_weights(torch.full((1, 1, 1, 1), 8, dtype=torch.int16), (1,), 4, 4)
    with pytest.raises(ValueError, match=r"wanted 0..65535, got -1..-1"):
        pack_vector(torch.tensor([-1]), 4, "<u2")
    with pytest.raises(ValueError, match="one dimension"):
        pack_vector(torch.zeros(1, 1), 4, "<u2")
    with pytest.raises(ValueError, match="wanted 8 bytes, got 3"):
        unpack_activation(b"abc", 4, 1, 1, 4)
