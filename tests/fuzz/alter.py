"""Ways to alter a file: its bytes, or what it says, with a checksum that holds again."""

import copy
import json
import struct
import zlib
from dataclasses import replace
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from hqdm.kit.tensor_file import Checkpoint

NUMBERS = (0, 1, -1, 2, 3, 7, 255, 65_535, 65_536, 10 ** 6, 1 << 31, (1 << 31) - 1, 1 << 32,
           10 ** 12, 10 ** 13, (1 << 63) - 1, 1 << 63, 1 << 64, 10 ** 30, -(1 << 63), -(10 ** 30))
VALUES = (*NUMBERS, None, True, False, 0.5, 1.0, -1e300, float("nan"), float("inf"), "", "x",
          "none", "1", "\n", "\x00", "\ud7ff", "a" * 5000, [], [[]], [0], [1] * 99, {}, {"a": {}},
          {"": None})
DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.bool, torch.complex64,
          torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64)
FILLS = (0, 1, -1, 127, float("nan"), float("inf"), 1 << 15, (1 << 62) - 1)


def index(draw: Any, length: int) -> int:
    return draw(st.integers(0, length - 1))


@st.composite
def altered_bytes(draw: Any, content: bytes) -> bytes:
    """One to four places changed, cut out, doubled or added; or the end cut off."""
    raw = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = index(draw, len(raw)) if raw else 0
        what = draw(st.sampled_from(("bit", "byte", "bytes", "cut", "double", "add", "end")))
        if what == "bit" and raw:
            raw[at] ^= 1 << index(draw, 8)
        elif what == "byte" and raw:
            raw[at] = index(draw, 256)
        elif what == "bytes":
            size = draw(st.sampled_from((2, 4, 8)))
            raw[at:at + size] = draw(st.sampled_from((b"\xff", b"\x00", b"\x7f", b"9"))) * size
        elif what == "cut":
            del raw[at:at + draw(st.integers(1, 64))]
        elif what == "double":
            raw[at:at] = raw[at:at + draw(st.integers(1, 64))]
        elif what == "add":
            raw[at:at] = draw(st.binary(max_size=16))
        else:
            del raw[at:]
    return bytes(raw)


def places(plain: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below `plain`."""
    keys = plain.items() if isinstance(plain, dict) else enumerate(plain)
    found = []
    for key, value in keys:
        found.append((plain, key))
        if isinstance(value, dict | list):
            found += places(value)
    return found


@st.composite
def altered_plain(draw: Any, plain: dict[str, Any]) -> dict[str, Any]:
    """One to three values replaced, taken out, added, exchanged or nested deeply."""
    plain = copy.deepcopy(plain)
    for _ in range(draw(st.integers(1, 3))):
        found = places(plain)
        if not found:
            break
        at, key = found[index(draw, len(found))]
        what = draw(st.sampled_from(("set", "set", "set", "out", "add", "exchange", "change")))
        if what == "set":
            at[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
        elif what == "out":
            del at[key]
        elif what == "add":
            value = copy.deepcopy(draw(st.sampled_from(VALUES)))
            at.update({"more": value}) if isinstance(at, dict) else at.append(value)
        elif what == "exchange":
            other, its = found[index(draw, len(found))]
            at[key] = copy.deepcopy(other[its])
        else:
            value = at[key]
            at[key] = value + draw(st.integers(-4, 4)) if type(value) is int else [value]
    return plain


@st.composite
def altered_tensor(draw: Any, tensor: Tensor) -> Tensor:
    """Of another dtype or shape, or with other numbers."""
    what = draw(st.sampled_from(("dtype", "fill", "one", "shape", "cut", "empty", "view")))
    if what == "dtype":
        dtype = draw(st.sampled_from(DTYPES))
        return tensor.real.to(dtype) if tensor.is_complex() else tensor.to(dtype)
    if what in ("fill", "one"):
        value = draw(st.sampled_from(FILLS))
        if not tensor.is_floating_point():
            tensor = tensor.to(torch.float64 if value != value or abs(value) > 1 << 62
                               else torch.int64)
        tensor = tensor.clone()
        if what == "fill" or not tensor.numel():
            return torch.full_like(tensor, value)
        tensor.view(-1)[index(draw, tensor.numel())] = value
        return tensor
    if what == "shape":
        return tensor.reshape(draw(st.sampled_from(((-1,), (1, *tensor.shape), (
            *tensor.shape, 1))))).clone()
    if what == "cut":
        return tensor.reshape(-1)[:index(draw, tensor.numel() + 1)].clone()
    if what == "empty":
        return torch.zeros(draw(st.sampled_from(((0,), (), (0, 1 << 40), (3, 0)))),
                           dtype=tensor.dtype)
    raw = tensor.reshape(-1).view(torch.uint8).clone()
    raw[index(draw, len(raw))] ^= 1 << index(draw, 8)
    return raw.view(tensor.dtype).view(tensor.shape)


@st.composite
def altered_checkpoint(draw: Any, read: Checkpoint) -> Checkpoint:
    """Header or tensors changed."""
    what = draw(st.sampled_from(("architecture", "training", "tensors", "tensors")))
    if what != "tensors":
        return replace(read, **{what: draw(altered_plain(getattr(read, what)))})
    tensors = dict(read.tensors)
    name = sorted(tensors)[index(draw, len(tensors))]
    what = draw(st.sampled_from(("change", "change", "change", "out", "rename", "add")))
    if what == "change":
        tensors[name] = draw(altered_tensor(tensors[name]))
    elif what == "add":
        tensors[f"{name}.more"] = tensors[name].clone()
    else:
        tensor = tensors.pop(name)
        if what == "rename":
            tensors[draw(st.sampled_from((f"{name}x", "", "at 0", "at -1", "at 64", "x\ny")))] = (
                tensor)
    return replace(read, tensors=tensors)


@st.composite
def altered_png(draw: Any, content: bytes) -> bytes:
    """Another size, depth or kind announced, under a checksum that holds; or other bytes."""
    if draw(st.booleans()):
        return draw(altered_bytes(content))
    raw = bytearray(content)
    for at, form in ((16, ">I"), (20, ">I"), (24, "B"), (25, "B"), (28, "B")):
        if draw(st.integers(0, 2)) == 0:
            low = {">I": 1 << 32, "B": 256}[form]
            value = draw(st.sampled_from(NUMBERS) | st.integers(0, 2048)) % low
            raw[at:at + struct.calcsize(form)] = struct.pack(form, value)
    raw[29:33] = struct.pack(">I", zlib.crc32(bytes(raw[12:29])))
    return bytes(raw)


@st.composite
def altered_pickle(draw: Any, content: bytes) -> bytes:
    """Instructions put in, with numbers larger than the file; or other bytes."""
    raw = bytearray(draw(altered_bytes(content)) if draw(st.booleans()) else content)
    at = index(draw, len(raw) + 1)
    opcode = bytes([draw(st.sampled_from(b"(.012FGIJKLMNPQRSTUVX]abcdeghijlopqrstu}"
                                         b"\x80\x81\x82\x85\x86\x87\x88\x8a\x8b\x8c\x8d\x8e\x8f"
                                         b"\x90\x91\x92\x93\x94\x95\x96\x97\x98"))])
    number = draw(st.sampled_from(NUMBERS)) % (1 << 64)
    raw[at:at] = opcode + struct.pack("<Q", number)[:draw(st.integers(0, 8))]
    return bytes(raw)


@st.composite
def altered_json(draw: Any, plain: dict[str, Any]) -> bytes:
    """Values changed; or bytes."""
    if draw(st.integers(0, 3)) == 0:
        return draw(altered_bytes(json.dumps(plain).encode()))
    return json.dumps(draw(altered_plain(plain))).encode()
