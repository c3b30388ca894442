"""The three forms of CIFAR-10, the cache, and what is refused."""

import json
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hqdm.learn.data.cifar10 import CLASSES, load_cifar10

COUNT = 4
IMAGES = np.random.default_rng(1).integers(0, 256, (6, COUNT, 3, 32, 32), dtype=np.uint8)
LABELS = np.random.default_rng(2).integers(0, 10, (6, COUNT))
NAMES = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "data"
    made.mkdir()
    return made


def write_batches(folder):
    for name, images, labels in zip(NAMES, IMAGES, LABELS, strict=True):
        content = {b"data": images.reshape(COUNT, -1), b"labels": labels.tolist()}
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))


def write_sheets(folder):
    for name, images in zip(NAMES, IMAGES, strict=True):
        sheet = images.transpose(0, 2, 3, 1).reshape(COUNT, 1024, 3)
        Image.fromarray(sheet).save(folder / f"{name}.png")
    (folder / "train_lables.json").write_text(json.dumps(LABELS[:5].ravel().tolist()))
    (folder / "test_lables.json").write_text(json.dumps(LABELS[5].tolist()))


def write_folders(folder):
    for split, batches in (("train", range(5)), ("test", [5])):
        for batch in batches:
            for i in range(COUNT):
                where = folder / split / CLASSES[LABELS[batch, i]]
                where.mkdir(parents=True, exist_ok=True)
                Image.fromarray(IMAGES[batch, i].transpose(1, 2, 0)).save(
                    where / f"{batch}-{i}.png")


def in_order(data):
    keys = [(int(label), image.numpy().tobytes())
            for image, label in zip(data.images, data.labels, strict=True)]
    return sorted(keys)


@pytest.mark.parametrize("write", [write_batches, write_sheets, write_folders])
@pytest.mark.parametrize("packed", [False, True])
def test_forms(folder, cache, tmp_path, write, packed):
    inner = folder / "cifar-10"
    inner.mkdir()
    write(inner)
    source = folder
    if packed:
        source = tmp_path / "data.tgz"
        with tarfile.open(source, "w:gz") as archive:
            archive.add(inner, "package")
    for split, images, labels in (("train", IMAGES[:5], LABELS[:5]),
                                  ("test", IMAGES[5:], LABELS[5:])):
        data = load_cifar10(source, split, cache)
        assert data.images.dtype == torch.uint8 and data.labels.dtype == torch.int64
        want = sorted((int(y), x.tobytes()) for x, y in zip(
            images.reshape(-1, 3, 32, 32), labels.ravel(), strict=True))
        assert in_order(data) == want
        if write is not write_folders:
            assert torch.equal(data.images, torch.from_numpy(images.reshape(-1, 3, 32, 32)))


def test_cached_until_a_file_changes(folder, cache):
    write_sheets(folder)
    first = load_cifar10(folder, cache=cache)
    stored = sorted((cache / "data").iterdir())
    assert len(stored) == 1
    assert load_cifar10(folder, cache=cache).fingerprint() == first.fingerprint()
    (folder / "train_lables.json").write_text(json.dumps([3] * 20))
    second = load_cifar10(folder, cache=cache)
    assert second.labels.tolist() == [3] * 20 and len(list((cache / "data").iterdir())) == 2
    assert second.fingerprint() != first.fingerprint()


def test_a_cache_that_does_not_hold_or_cannot_be_written(folder, cache):
    write_sheets(folder)
    first = load_cifar10(folder, cache=cache).fingerprint()
    stored, = (cache / "data").iterdir()
    whole = stored.read_bytes()
    for damaged in (b"", whole[:-3], whole[:-1] + bytes([whole[-1] ^ 1])):
        stored.write_bytes(damaged)
        assert load_cifar10(folder, cache=cache).fingerprint() == first
        assert stored.read_bytes() == whole
    assert load_cifar10(folder, cache=Path("/dev/null/x")).fingerprint() == first


def test_classes_without_splits_are_for_training(folder, cache):
    (folder / "frog").mkdir()
    Image.fromarray(IMAGES[0, 0].transpose(1, 2, 0)).save(folder / "frog" / "1.png")
    assert load_cifar10(folder, cache=cache).labels.tolist() == [6]
    with pytest.raises(ValueError, match="no test images found"):
        load_cifar10(folder, "test", cache)


def test_flip(folder, cache):
    write_sheets(folder)
    data = load_cifar10(folder, "test", cache)
    assert torch.equal(data.flipped().images[..., 0], data.images[..., -1])
    assert torch.equal(data.flipped().labels, data.labels) and len(data) == COUNT


def refused(folder, cache, message, split="train", error=ValueError):
    with pytest.raises(error, match=message) as caught:
        load_cifar10(folder, split, cache)
    assert "\n" not in str(caught.value)


def test_empty_missing_and_other_files(folder, cache):
    refused(folder, cache, "no train images found; wanted CIFAR-10's Python batches")
    refused(folder / "none", cache, "no such data folder", error=FileNotFoundError)
    refused(folder, cache, "split: wanted train or test, got 'valid'", split="valid")
    (folder / "x.txt").write_text("x")
    refused(folder / "x.txt", cache, "wanted a folder or a tar archive, got another file")
    (folder / "y.tgz").write_bytes(b"nothing")
    refused(folder / "y.tgz", cache, "wanted a tar archive")


def test_broken_pictures(folder, cache):
    write_sheets(folder)
    (folder / "train_lables.json").write_text("[1, 2]")
    refused(folder, cache, "as many train labels as images, got 2 labels and 20 images")
    (folder / "train_lables.json").write_text(json.dumps([11] * 20))
    refused(folder, cache, r"wanted labels 0\.\.9, got 11\.\.11")
    (folder / "train_lables.json").write_text("{")
    refused(folder, cache, "wanted a list of labels")
    (folder / "data_batch_2.png").write_bytes(b"PNG")
    refused(folder, cache, "data_batch_2.png: wanted a picture")
    Image.fromarray(IMAGES[0, 0, 0]).save(folder / "data_batch_2.png")
    refused(folder, cache, "wanted a picture 1024 wide, got 32")


def test_picture_of_another_size(folder, cache):
    (folder / "cat").mkdir()
    Image.fromarray(IMAGES[0, 0, 0, :16]).save(folder / "cat" / "1.png")
    refused(folder, cache, "wanted a picture of 32x32, got 32x16")


class Evil:
    def __reduce__(self):
        return (print, ("owned",))


def test_batches_run_no_code(folder, cache, capsys):
    (folder / "data_batch_1").write_bytes(pickle.dumps({b"data": Evil(), b"labels": []}))
    refused(folder, cache, "wanted a CIFAR-10 Python batch, got .*print is not part of an array")
    assert "owned" not in capsys.readouterr().out


def test_broken_batches(folder, cache):
    for content, message in [
            (b"junk", "wanted a CIFAR-10 Python batch"),
            (pickle.dumps({b"labels": []}), "wanted a CIFAR-10 Python batch"),
            (pickle.dumps({b"data": [1], b"labels": [1]}), "wanted a uint8 array of rows"),
            (pickle.dumps({b"data": IMAGES[0, :, 0, 0], b"labels": [1] * 4}, protocol=2),
             "wanted rows of 3072 bytes, got 32")]:
        (folder / "data_batch_1").write_bytes(content)
        refused(folder, cache, message)
