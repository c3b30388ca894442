"""What people give in place of a configuration: read, or said to be what it is."""

import json

import pytest

from hqdm.firmware.catalogue.document import LARGEST, find_file, read_object, title

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:30eb\nsize 1680\n"
COMPVIS = "# cin256\nmodel:\n  target: ldm.models.diffusion.ddpm.LatentDiffusion\n  params:\n"
CONFLICT = '{\n<<<<<<< HEAD\n"a": 1\n=======\n"a": 2\n>>>>>>> other\n}\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_every_encoding_of_json_is_read(tmp_path, encoding):
    path = tmp_path / "config.json"
    path.write_bytes(json.dumps({"a": "ä"}, ensure_ascii=False).encode(encoding))
    assert read_object(path) == {"a": "ä"}


@pytest.mark.parametrize(("content", "text"), [
    (LFS, "is a Git LFS pointer, not the file: run git lfs pull, or download the file itself"),
    (COMPVIS, "is YAML of CompVis: wanted a configuration of diffusers"),
    ("sample_size: 32\n", "is YAML: wanted JSON"), ("---\na\n", "is YAML: wanted JSON"),
    ("\n<!DOCTYPE html><html>", "is a page of HTML or XML: download the raw file"),
    (CONFLICT, "has the marks of a merge conflict, the first in line 2: resolve it"),
    ("", "is empty"), (" \n ", "is empty"),
    (b"PK\x03\x04rest", "is an archive, perhaps weights: wanted the config.json beside it"),
    (b"\x80\x02}q", "is a pickle, perhaps weights"),
    (b"\x40" + bytes(7) + b'{"a"', "is safetensors, perhaps weights"),
    ("{", "wanted JSON, got Expecting property name"),
    ('{"a": 1, "b": 2, "a": 3}', "wanted JSON, got 'a' twice in an object"),
    ('{"a": NaN}', "wanted JSON, got NaN, which is no number of JSON"),
    ("[" * 100_000, "wanted JSON, got a list in a list in a list without end"),
    (b'{"a": "\xff"}', "wanted JSON, got 'utf-8' codec can't decode"),
])
def test_other_files_are_named(tmp_path, content, text):
    path = tmp_path / "config.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError) as error:
        read_object(path)
    assert str(error.value).startswith(f"{path}: {text}") and "\n" not in str(error.value)


def test_a_large_file_is_not_read(tmp_path):
    path = tmp_path / "weights.bin"
    with path.open("wb") as file:
        file.truncate(1 << 40)      # no byte of it is on the disk
    with pytest.raises(ValueError, match=rf"at most {LARGEST:,} bytes, got 1,099,511,627,776"):
        read_object(path)


def test_a_folder_has_its_configuration(tmp_path):
    """That of a model, or of the UNet of a pipeline; called by the folder."""
    inner = tmp_path / "my-model" / "unet"
    inner.mkdir(parents=True)
    (inner / "config.json").write_text("{}")
    for folder in (inner, inner.parent):
        found = find_file(str(folder))
        assert found == inner / "config.json" and title(found) == "my-model"
    assert title(tmp_path / "mine.json") == "mine"
    with pytest.raises(ValueError, match=r"is a folder without unet/config.json or config.json"):
        find_file(str(tmp_path))


@pytest.mark.parametrize("model", ["CompVis/stable-diffusion-v1-4", "https://example.org/a.json"])
def test_nothing_is_downloaded(model):
    with pytest.raises(ValueError, match=r"is not a file here, and nothing is downloaded: fetch"):
        find_file(model)


def test_devices_are_no_configurations(tmp_path):
    with pytest.raises(ValueError, match="/dev/null: is neither a file nor a folder"):
        find_file("/dev/null")
    assert find_file("ldm5") is None and find_file(str(tmp_path / "none.json")) is None
