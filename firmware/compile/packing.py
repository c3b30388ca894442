"""Memory images of activations, weights and vectors, exactly as docs/architecture.md lays them out.

Everything here is vectorised: no Python loop runs per element. `n` is the array size of the core.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hqdm.kit.bit_packing import pack, unpack
from hqdm.spec.fixed import NIBBLE, nibbles, split_nibbles, weight_range

Array = npt.NDArray[np.int64]


def _words(channels: int, n: int) -> int:
    return -(-channels // n)


def _check_length(what: str, data: bytes, want: int) -> None:
    if len(data) != want:
        raise ValueError(f"{what}: wanted {want} bytes, got {len(data)}")


def pack_activation(values: Tensor, n: int) -> bytes:
    """Image `int16 [H][W][Cw * n]` of an activation; channels beyond C are zero.

    Parameters
    ----------
    values: int16 (C, H, W).

    Raises
    ------
    TypeError: not int16.  ValueError: not three dimensions.
    """
    if values.dtype != torch.int16:
        raise TypeError(f"activation: wanted torch.int16, got {values.dtype}")
    if values.dim() != 3:
        raise ValueError(f"activation: wanted (C, H, W), got shape {tuple(values.shape)}")
    channels, height, width = values.shape
    image = np.zeros((height, width, _words(channels, n) * n), dtype="<i2")
    image[:, :, :channels] = values.permute(1, 2, 0).numpy()    # (C, H, W) -> (H, W, C)
    return image.tobytes()


def unpack_activation(data: bytes, channels: int, height: int, width: int, n: int) -> Tensor:
    """Inverse of `pack_activation`: int16 (C, H, W); the padding channels are dropped."""
    words = _words(channels, n)
    _check_length("activation", data, 2 * height * width * words * n)
    image = np.frombuffer(data, dtype="<i2").reshape(height, width, words * n)
    values = image[:, :, :channels].transpose(2, 0, 1).astype(np.int16)
    return torch.from_numpy(values)


def _pack_tiles(tiles: Array, bits: int, n: int) -> bytes:
    """Tiles (T, n * n) of signed integers -> `bits` bits each, a tile padded to whole beats."""
    data = pack(torch.from_numpy(tiles.astype(np.int8)), bits).numpy().reshape(len(tiles), -1)
    padding = -data.shape[1] % n    # a beat is n bytes
    return np.pad(data, ((0, 0), (0, padding))).tobytes()


def _unpack_tiles(data: bytes, count: int, bits: int, n: int) -> Array:
    """Inverse of `_pack_tiles`: int64 (count, n * n), sign extended."""
    used = np.frombuffer(data, dtype=np.uint8).reshape(count, -1)[:, :n * n * bits // 8]
    values = unpack(torch.from_numpy(used.flatten()), bits, (count, n * n))
    return values.numpy().astype(np.int64)


def _pad_axis(values: Array, axis: int, n: int) -> Array:
    widths = [(0, 0)] * values.ndim
    widths[axis] = (0, -values.shape[axis] % n)
    return np.pad(values, widths)


def pack_weights(weights: Tensor, channels: Sequence[int], bits: int, n: int) -> bytes:
    """The weight stream: n x n tiles ordered (output word, word, dy, dx, nibble).

    Parameters
    ----------
    weights: integers (O, I, R, R), I = sum(channels).
    channels: channels of each source; each is padded to whole words on its own.
    bits: 2, 3, 4, or 8 for two 4-bit tiles, low nibble first.

    Raises
    ------
    ValueError: a shape that is not (O, sum(channels), R, R), or a weight out of range.
    """
    if weights.dim() != 4 or weights.shape[1] != sum(channels):
        raise ValueError(
            f"weights: wanted (O, {sum(channels)}, R, R), got {tuple(weights.shape)}")
    low, high = weight_range(bits)
    values = weights.numpy().astype(np.int64)
    if values.min() < low or values.max() > high:
        raise ValueError(
            f"weights: wanted {low}..{high}, got {values.min()}..{values.max()}")
    parts = np.split(values, np.cumsum(channels)[:-1], axis=1)
    values = np.concatenate([_pad_axis(part, 1, n) for part in parts], axis=1)
    values = _pad_axis(values, 0, n)
    outputs, inputs, kernel, _ = values.shape
    tiles = values.reshape(outputs // n, n, inputs // n, n, kernel, kernel)
    tiles = tiles.transpose(0, 2, 4, 5, 3, 1)       # (Ow, Kw, dy, dx, row, column)
    if nibbles(bits) == 2:
        tiles = np.stack(split_nibbles(tiles), axis=4)      # (Ow, Kw, dy, dx, nibble, row, column)
    return _pack_tiles(tiles.reshape(-1, n * n), min(bits, NIBBLE), n)


def weight_stream_bytes(
    out_words: int, words: int, kernel: int, bits: int, weight_nibbles: int, n: int,
) -> int:
    """Length of the weight stream; `bits` is that of one packed nibble."""
    return out_words * words * kernel ** 2 * weight_nibbles * -(-n * bits // 8) * n


def unpack_weights(
    data: bytes, out_words: int, words: int, kernel: int, bits: int, weight_nibbles: int, n: int,
) -> Tensor:
    """Inverse of `pack_weights`: int16 (out_words * n, words * n, R, R), padding kept."""
    _check_length("weights", data, weight_stream_bytes(
        out_words, words, kernel, bits, weight_nibbles, n))
    count = out_words * words * kernel ** 2 * weight_nibbles
    tiles = _unpack_tiles(data, count, bits, n)
    tiles = tiles.reshape(out_words, words, kernel, kernel, weight_nibbles, n, n)
    scale = 16 ** np.arange(weight_nibbles, dtype=np.int64)
    values = np.einsum("owyxkrc,k->ocwryx", tiles, scale)
    return torch.from_numpy(
        values.reshape(out_words * n, words * n, kernel, kernel).astype(np.int16))


def pack_vector(values: Tensor, n: int, dtype: str) -> bytes:
    """A per-channel vector `dtype [words * n]` ("<u2" multipliers, "<i2" bias), zero padded.

    Raises
    ------
    ValueError: not one dimension, or a value outside `dtype`.
    """
    if values.dim() != 1:
        raise ValueError(f"vector: wanted one dimension, got shape {tuple(values.shape)}")
    array = values.numpy().astype(np.int64)
    limits = np.iinfo(np.dtype(dtype))
    if array.min() < limits.min or array.max() > limits.max:
        raise ValueError(
            f"vector: wanted {limits.min}..{limits.max}, got {array.min()}..{array.max()}")
    return _pad_axis(array, 0, n).astype(dtype).tobytes()


def unpack_vector(data: bytes, dtype: str) -> Tensor:
    """Inverse of `pack_vector`, padding kept: int64 tensor."""
    return torch.from_numpy(np.frombuffer(data, dtype=dtype).astype(np.int64))
