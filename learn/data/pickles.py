"""CIFAR-10's pickled batches, without the pickles' power to run code."""

import io
import pickle
from typing import Any

import numpy as np

ALLOWED = {("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
           ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of an array")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load_batch(name: str, content: bytes) -> tuple[np.ndarray, list[int]]:
    """uint8 rows (N, 3072) and labels of one official batch.

    Raises
    ------
    ValueError: not such a batch, or a pickle that holds more than arrays.
    """
    try:
        loaded = _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
        data, labels = loaded[b"data"], loaded[b"labels"]
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, AttributeError, IndexError,
            ValueError, ImportError) as error:
        raise ValueError(f"{name}: wanted a CIFAR-10 Python batch, got {error}") from error
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2:
        raise ValueError(f"{name}: wanted a uint8 array of rows, got {type(data).__name__}")
    return data, [int(label) for label in labels]
