"""The three forms CIFAR-10 comes in; each source returns None where its form is absent."""

import io
import json
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from hqdm.learn.data.pickles import load_batch
from hqdm.learn.data.tree import Tree

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
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


def _picture(tree: Tree, path: str) -> np.ndarray:
    """uint8 (H, W, 3) of a picture file."""
    try:
        with Image.open(io.BytesIO(tree.read(path))) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{tree.root}: {path}: wanted a picture, got {error}") from error


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
        sheet = _picture(tree, path)
        if sheet.shape[1] != size * size:
            raise ValueError(f"{tree.root}: {path}: wanted a picture {size * size} wide, got "
                             f"{sheet.shape[1]}")
        sheets.append(sheet.reshape(-1, size, size, 3).transpose(0, 3, 1, 2))
    try:
        labels = np.array(json.loads(tree.read(listed[0])), dtype=np.int64)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{tree.root}: {listed[0]}: wanted a list of labels, got {error}"
                         ) from error
    return Arrays(np.ascontiguousarray(np.concatenate(sheets)), labels.reshape(-1))


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
        image = _picture(tree, path)
        if image.shape != (size, size, 3):
            raise ValueError(f"{tree.root}: {path}: wanted a picture of {size}x{size}, got "
                             f"{image.shape[1]}x{image.shape[0]}")
        images.append(image.transpose(2, 0, 1))
    return Arrays(np.stack(images), np.array([label for _, label in named], dtype=np.int64))
