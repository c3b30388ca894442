"""The three forms of CIFAR-10, the cache, and what is refused."""

import io
import json
import pickle
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hqdm.kit.tensor_file import Checkpoint, save_checkpoint
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


def announced(width, height):
    """A PNG that says it is so large, and has no more than 1 x 1 pixels."""
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(buffer, "PNG")
    image = bytearray(buffer.getvalue())
    image[16:24] = struct.pack(">II", width, height)
    image[29:33] = struct.pack(">I", zlib.crc32(image[12:29]))
    return bytes(image)


@pytest.mark.parametrize(("width", "height"), [
    (20_000, 20_000), (1 << 16, 1 << 15), (32, 1 << 31), (1024, 1 << 20), (8000, 8000)])
def test_pictures_are_not_decoded_before_their_size_is_known(folder, cache, width, height,
                                                             monkeypatch):
    def decoded(*_, **__):
        raise AssertionError("decoded")

    monkeypatch.setattr(Image.Image, "convert", decoded)
    (folder / "cat").mkdir()
    (folder / "cat" / "1.png").write_bytes(announced(width, height))
    refused(folder, cache, f"1.png: wanted a picture( of 32x32, got {width}x{height}|, got Image)")
    (folder / "data_batch_1.png").write_bytes(announced(width, height))
    (folder / "train_lables.json").write_text("[1]")
    refused(folder, cache, "data_batch_1.png: wanted a picture( 1024 wide, got |, got Image)")


def test_a_name_does_not_choose_the_decoder(folder, cache):
    """A picture of PostScript would be handed to an interpreter of programs."""
    (folder / "cat").mkdir()
    (folder / "cat" / "1.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\nshowpage\n")
    refused(folder, cache, "1.png: wanted a picture, got cannot identify image file")


@pytest.mark.parametrize("text", [
    "[1e400]", "[Infinity]", f"[{10 ** 30}]", "[1.0]", "[true]", "[null]", '["1"]', "{}",
    "3", "[[[1]]]", "[" * 100_000, '{"a": 1}', "[[1], 2]"])
def test_labels_that_are_no_labels(folder, cache, text):
    write_sheets(folder)
    (folder / "train_lables.json").write_text(text)
    refused(folder, cache, "train_lables.json: wanted a list of labels, got")


def test_labels_in_rows(folder, cache):
    write_sheets(folder)
    (folder / "train_lables.json").write_text(json.dumps(LABELS[:5].tolist()))
    assert load_cifar10(folder, cache=cache).labels.tolist() == LABELS[:5].ravel().tolist()


class Call:
    """Pickled as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


BYTES = Call(np.dtype, "u1", 0, 1)


def array_of(shape, data, kind=BYTES):
    """A pickled array that announces a shape."""
    class Array:
        def __reduce__(self):
            rebuild = np.zeros(0).__reduce__()[0]
            return rebuild, (np.ndarray, (0,), b"b"), (1, shape, kind, False, data)
    return Array()


def batch(data, labels=(1,)):
    return {b"data": data, b"labels": list(labels)}


@pytest.mark.parametrize(("content", "text"), [
    (batch(array_of((1, 10 ** 12), b"x")), r"wanted an array of uint8, got 'uint8' of"),
    (batch(Call(np.ndarray, (10 ** 12,))), "is not callable|wanted a CIFAR-10 Python batch"),
    (batch(array_of((-1, -1), b"x")), "wanted an array of uint8"),
    (batch(array_of((1, 1), b"x", Call(np.dtype, "f8", 0, 1))), "got 'f8' of shape"),
    (batch(np.zeros((1, 3072), np.float32)), "wanted an array of uint8, got 'f4'"),
    (batch(np.zeros((1, 3072), np.uint8), [float("inf")]), "the instruction BINFLOAT"),
    (batch(np.zeros((1, 3072), np.uint8), [10 ** 30]), "wanted a list of labels, got 1000"),
    (batch(np.zeros((1, 3072), np.uint8), [True]), "wanted a list of labels, got True"),
    (batch(np.zeros((1, 3072), np.uint8), [[1]]), r"wanted a list of labels, got \[1\]"),
    (batch(np.zeros((1, 3072), np.uint8), [300]), r"wanted labels 0\.\.9, got 0\.\.300"),
    (batch(bytearray(9)), "wanted a CIFAR-10 Python batch"),
    ([1, 2], "wanted a CIFAR-10 Python batch"),
    ({b"data": 1, b"labels": 2, ((((1,),),),): 3}, "wanted a uint8 array of rows, got int"),
])
def test_batches_that_are_none(folder, cache, content, text):
    write_batches(folder)
    (folder / "data_batch_1").write_bytes(pickle.dumps(content, protocol=2))
    refused(folder, cache, text)


@pytest.mark.parametrize("raw", [
    b"\x80\x04\x96" + struct.pack("<Q", 1 << 40) + b".",      # a bytearray of 10**12 bytes
    b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b".",      # bytes
    b"\x80\x02}r\xff\xff\xff\x7f.",                           # kept under the number 2**31 - 1
    b"\x80\x02}" + b"p99999999999999999999\n.",
    b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"}.",
    b"\x80\x02" + b"\x85" * 100_000 + b".",
    b"(" * 100_000 + b"t" * 100_000 + b".",
    b"L" + b"9" * 100_000 + b"L\n.",
    b"cos\nsystem\n(S'echo owned'\ntR.", b"\x80\x02c__builtin__\neval\n.",
    b"\x80\x02Pname\n.", b"\x80\x02\x82\x01.", b"", b".", b"\x80\xff."])
def test_pickles_that_ask_for_too_much(folder, cache, raw, capfd):
    write_batches(folder)
    (folder / "data_batch_1").write_bytes(raw)
    refused(folder, cache, "data_batch_1: wanted a CIFAR-10 Python batch, got")
    assert "owned" not in capfd.readouterr().out


def test_archives_that_say_they_are_large(folder, cache):
    """Sparse files take no room, and compressed zeros little."""
    member = tarfile.TarInfo("data_batch_1")
    member.size = 10 ** 12
    (folder / "x.tar").write_bytes(member.tobuf() + bytes(1024))
    refused(folder / "x.tar", cache, "wanted a tar archive, got one of more than 1073741824 bytes")


def test_a_cached_file_of_something_else_is_made_again(folder, cache):
    write_sheets(folder)
    data = load_cifar10(folder, cache=cache)
    stored, = (cache / "data").iterdir()
    for tensors in ({"images": data.images},
                    {"images": data.images.float(), "labels": data.labels},
                    {"images": data.images[1:].clone(), "labels": data.labels},
                    {"images": data.images, "labels": data.labels + 9}):
        save_checkpoint(stored, Checkpoint(kind="images", architecture={}, training={},
                                           tensors=tensors))
        assert load_cifar10(folder, cache=cache).fingerprint() == data.fingerprint()
