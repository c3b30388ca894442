"""The three forms CIFAR-10 comes in; each source returns None where its form is absent."""

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from hqdm.learn.data.pickles import check_labels, load_batch
from hqdm.learn.data.tree import Tree
from hqdm.spec.plain import parse_json

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
FORMATS = ("PNG", "JPEG", "BMP", "WEBP")    # what a name may say is none but these
MAX_ROWS = 1 << 16      # of a sheet: images in one picture
BATCHES = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}
LABELS = {"train": "train_lables.json", "test": "test_lables.json"}     # sic


@dataclass(frozen=True)
class Arrays:
    """uint8 `images` (N, 3, H, W) with int64 `labels` (N,)."""

    images: np.ndarray
    labels: np.ndarray


def _find(tree: Tree, names: list[str]) -> list[str]:
    """Paths of those files of `tree` that are called one of `names`, in the order of `names`."""
    by_name = {PurePosixPath(path).name: path for path in tree.files()}
    return [by_name[name] for name in names if name in by_name]


def _picture(tree: Tree, path: str, width: int, height: int | None, wanted: str) -> np.ndarray:
    """uint8 (H, W, 3) of a picture file of a width and height, None: any up to MAX_ROWS.

    What it says of its size is looked at before anything is decoded.
    """
    name = f"{tree.root}: {path}"
    try:
        with warnings.catch_warnings(), Image.open(
                io.BytesIO(tree.read(path)), formats=FORMATS) as image:
            warnings.simplefilter("ignore")
            if image.width != width or not 0 < image.height <= (height or MAX_ROWS) or (
                    height and image.height != height):
                raise _Size(f"{name}: wanted {wanted}, got {image.width}x{image.height}; it is at "
                            f"most {height or MAX_ROWS} high")
            return np.asarray(image.convert("RGB"))
    except _Size:
        raise
    # what Pillow's decoders raise depends on where a file is wrong
    except (ArithmeticError, AttributeError, EOFError, Image.DecompressionBombError, LookupError,
            MemoryError, NotImplementedError, OSError, RuntimeError, SyntaxError, TypeError,
            ValueError, struct.error, zlib.error) as error:
        raise ValueError(f"{name}: wanted a picture, got "
                         f"{' '.join(str(error).split())[:200]}") from error


class _Size(ValueError):
    """A picture that says that it is of another size."""


def read_batches(tree: Tree, split: str, size: int) -> Arrays | None:
    """The official Python batches: rows of 3 x size x size bytes."""
    found = _find(tree, BATCHES[split])
    if not found:
        return None
    rows, labels = [], []
    for path in found:
        data, its = load_batch(f"{tree.root}: {path}", tree.read(path))
        if data.shape[1] != 3 * size * size:
            raise ValueError(f"{tree.root}: {path}: wanted rows of {3 * size * size} bytes, got "
                             f"{data.shape[1]}")
        rows.append(data.reshape(-1, 3, size, size))
        labels += its
    return Arrays(np.concatenate(rows), np.array(labels, dtype=np.int64))


def read_sheets(tree: Tree, split: str, size: int) -> Arrays | None:
    """The npm package: pictures with one image in each row of pixels, and a list of labels."""
    found = _find(tree, [f"{name}.png" for name in BATCHES[split]])
    listed = _find(tree, [LABELS[split]])
    if not found or not listed:
        return None
    sheets = []
    for path in found:
        sheet = _picture(tree, path, size * size, None, f"a picture {size * size} wide")
        sheets.append(sheet.reshape(-1, size, size, 3).transpose(0, 3, 1, 2))
    name = f"{tree.root}: {listed[0]}"
    labels = _flat(_labels_of(name, tree.read(listed[0])))
    return Arrays(np.ascontiguousarray(np.concatenate(sheets)),
                  np.array(check_labels(name, labels), dtype=np.int64))


def _labels_of(name: str, content: bytes) -> Any:
    try:
        return parse_json(content, name)
    except ValueError as error:
        raise ValueError(f"{name}: wanted a list of labels, got {error}") from error


def _flat(labels: Any) -> Any:
    """A list of lists as one list; anything else as it is."""
    if not isinstance(labels, list) or not all(isinstance(row, list) for row in labels):
        return labels
    return [label for row in labels for label in row]


def read_folders(tree: Tree, split: str, size: int, classes: tuple[str, ...]) -> Arrays | None:
    """Pictures in `<split>/<class>/`; for training also in `<class>/` beside no such folder."""
    by_split: dict[str, list[tuple[str, int]]] = {"train": [], "test": [], "": []}
    for path in tree.files():
        parts = PurePosixPath(path).parts
        if len(parts) >= 2 and parts[-2] in classes and path.lower().endswith(PICTURES):
            above = parts[-3] if len(parts) > 2 and parts[-3] in by_split else ""
            by_split[above].append((path, classes.index(parts[-2])))
    named = by_split[split] or (by_split[""] if split == "train" else [])
    if not named:
        return None
    images = []
    for path, _ in named:
        image = _picture(tree, path, size, size, f"a picture of {size}x{size}")
        images.append(image.transpose(2, 0, 1))
    return Arrays(np.stack(images), np.array([label for _, label in named], dtype=np.int64))
