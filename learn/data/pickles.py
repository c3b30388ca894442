"""CIFAR-10's pickled batches, without the pickles' power to run code or to ask for memory.

A pickle is a program. Before any of it runs its instructions are looked at: only those a batch
needs, in numbers that a batch needs, and nothing longer than the file. What it may call are the
three functions below, which make plain data; numpy's own are never called.
"""

import io
import pickle
import pickletools
from collections import Counter
from math import prod
from typing import Any

import numpy as np

from hqdm.spec.plain import shown

PLAIN = """PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE INT LONG BININT BININT1 BININT2 LONG1 STRING
BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES UNICODE BINUNICODE SHORT_BINUNICODE EMPTY_LIST
LIST APPEND APPENDS EMPTY_DICT DICT SETITEM SETITEMS EMPTY_TUPLE PUT BINPUT LONG_BINPUT MEMOIZE GET
BINGET LONG_BINGET""".split()
FEW = "TUPLE TUPLE1 TUPLE2 TUPLE3 GLOBAL STACK_GLOBAL REDUCE BUILD".split()
MOST = 64               # of each of FEW: an array takes one or two
MAX_LABEL = 1 << 16


class _Array:
    """What a pickled array says: shape and bytes of uint8."""

    def __init__(self) -> None:
        self.values: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, columns_first, data = state
        if kind != "uint8" or columns_first or not isinstance(data, bytes) or not all(
                type(size) is int and size >= 0 for size in shape) or prod(shape) != len(data):
            raise ValueError(f"wanted an array of uint8, got {shown(kind)} of shape "
                             f"{shown(shape)} in {len(data)} bytes")
        self.values = np.frombuffer(data, np.uint8).reshape(shape)


class _Kind(str):
    """A dtype by name; what is said about it afterwards changes nothing for one byte."""

    def __setstate__(self, state: Any) -> None:
        pass


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _kind(name: Any, *_: Any) -> _Kind:
    text = name.decode("ascii") if isinstance(name, bytes) else str(name)
    return _Kind("uint8" if text in ("u1", "|u1", "uint8") else text)


def _encode(text: Any, coding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or coding not in ("latin1", b"latin1"):
        raise pickle.UnpicklingError("encode of anything but latin1 is not part of an array")
    return text.encode("latin1")


ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): "array", ("numpy", "dtype"): _kind, ("_codecs", "encode"): _encode}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of an array")
        return ALLOWED[module, name]


def _check_instructions(content: bytes) -> None:
    """ValueError for a pickle that does more than to list arrays and numbers.

    A number under which something is kept must be one of the file's own: the unpickler makes room
    for the largest.
    """
    counts: Counter[str] = Counter()
    for code, argument, _ in pickletools.genops(content):
        counts[code.name] += 1
        if code.name not in PLAIN and code.name not in FEW:
            raise ValueError(f"the instruction {code.name}, which is not part of an array")
        if code.name in FEW and counts[code.name] > MOST:
            raise ValueError(f"more than {MOST} instructions {code.name}")
        if code.name.endswith("PUT") and int(argument or 0) > len(content):
            raise ValueError(f"{code.name} of {argument} in {len(content)} bytes")


def load_batch(name: str, content: bytes) -> tuple[np.ndarray, list[int]]:
    """uint8 rows (N, 3072) and labels of one official batch.

    Raises
    ------
    ValueError: not such a batch, or a pickle that holds more than arrays.
    """
    try:
        _check_instructions(content)
        loaded = _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
        data, labels = loaded[b"data"], loaded[b"labels"]
    except (pickle.UnpicklingError, EOFError, LookupError, TypeError, AttributeError,
            ValueError, ImportError, ArithmeticError, RecursionError, MemoryError) as error:
        raise ValueError(f"{name}: wanted a CIFAR-10 Python batch, got "
                         f"{' '.join(str(error).split())[:200]}") from error
    values = data.values if isinstance(data, _Array) else None
    if values is None or values.ndim != 2:
        raise ValueError(f"{name}: wanted a uint8 array of rows, got {type(data).__name__}")
    return values, check_labels(name, labels)


def check_labels(name: str, labels: Any) -> list[int]:
    """A list of small integers, as it is; ValueError for anything else."""
    if not isinstance(labels, list):
        raise ValueError(f"{name}: wanted a list of labels, got {shown(labels)}")
    for label in labels:
        if type(label) is not int or abs(label) > MAX_LABEL:
            raise ValueError(f"{name}: wanted a list of labels, got {shown(label)} in it")
    return labels
