"""The build cache: finished builds only, once, and as they were made."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hqdm.kit.cache import (
    SEAL,
    build_once,
    cache_root,
    content_hash,
    files_hash,
    holds,
    some_cache,
    text_once,
)


def test_root(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "hqdm" and cache_root(tmp_path / "x") == tmp_path / "x"


def test_hashes(tmp_path):
    assert content_hash("ab", "c") != content_hash("a", "bc") and len(content_hash()) == 16
    assert content_hash("a") == content_hash(b"a")
    paths = [tmp_path / name for name in "ab"]
    for path in paths:
        path.write_text(path.name)
    assert files_hash(paths) == files_hash(reversed(paths)) == content_hash("a", b"a", "b", b"b")


def test_a_failed_build_leaves_nothing(tmp_path):
    def fail(directory):
        (directory / "half").write_text("done")
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        build_once("thing", fail, tmp_path)
    assert not [p for p in tmp_path.iterdir() if p.is_dir()]
    made = build_once("thing", lambda d: (d / "all").write_text("done"), tmp_path)
    assert build_once("thing", fail, tmp_path) == made


def test_leftovers_of_a_killed_build_go(tmp_path):
    for name in ("thing.killed", "thing2.other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").touch()
    build_once("thing", lambda d: None, tmp_path)
    assert not (tmp_path / "thing.killed").exists()
    assert (tmp_path / "thing2.other").exists()


def sealed(tmp_path, made):
    """An entry of two files; `made` counts how often."""
    def make(directory):
        made.append(directory)
        (directory / "folder").mkdir()
        (directory / "folder" / "a").write_bytes(b"a" * 100)
        (directory / "b").write_text("b")
    return build_once("thing", make, tmp_path)


@pytest.mark.parametrize("spoil", [
    lambda entry: (entry / "b").write_text("c"),
    lambda entry: os.truncate(entry / "folder" / "a", 50),
    lambda entry: (entry / "b").unlink(),
    lambda entry: (entry / SEAL).unlink(),
    lambda entry: (entry / SEAL).write_text("[1]"),
    lambda entry: (entry / SEAL).write_text(json.dumps({"files": {"b": 1}})),
    lambda entry: (shutil.rmtree(entry), entry.write_text("a file")),
])
def test_an_entry_that_does_not_hold_is_made_again(tmp_path, spoil):
    made = []
    entry = sealed(tmp_path, made)
    assert sealed(tmp_path, made) == entry and holds(entry) and len(made) == 1
    spoil(entry)
    assert not holds(entry)
    assert sealed(tmp_path, made) == entry and holds(entry) and len(made) == 2
    assert (entry / "b").read_text() == "b"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["thing", "thing.lock"]


def test_all_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    done, rename, fsync = [], Path.rename, os.fsync

    def synchronise(descriptor):
        done.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", synchronise)
    monkeypatch.setattr(Path, "rename", lambda *names: (done.append("rename"), rename(*names)))
    sealed(tmp_path, [])
    assert {"a", "b", "folder", SEAL} < set(done[:done.index("rename")])
    assert done[done.index("rename") + 1:] == [tmp_path.name]


HOLD = """
import sys
from pathlib import Path
from hqdm.kit.cache import build_once
def make(directory):
    (directory / "half").touch()
    print(directory, flush=True)
    sys.stdin.read()
build_once("other", make, Path(sys.argv[1]))
"""


def test_the_folder_of_a_build_that_runs_stays_and_that_of_a_killed_one_goes(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        left = Path(process.stdout.readline().strip())
        build_once("first", lambda d: None, tmp_path)
        assert (left / "half").exists()
        process.kill()
        process.wait()
        build_once("second", lambda d: None, tmp_path)
        assert not left.exists()
    assert {p.name for p in tmp_path.iterdir() if p.is_dir()} == {"first", "second"}


def test_a_build_within_a_build(tmp_path):
    def outer(directory):
        (directory / "kept").touch()
        build_once("inner", lambda d: None, tmp_path)
        assert (directory / "kept").exists()

    assert holds(build_once("outer", outer, tmp_path))


@pytest.mark.parametrize("name", ["my core", "a/../../b", "x" * 300, "ü"])
def test_names_are_folders_of_the_cache(tmp_path, name):
    root = tmp_path / "cache"
    entry = build_once(name, lambda d: None, root)
    assert entry.parent == root and len(str(entry).split()) == 1
    assert build_once(f"{name} ", lambda d: None, root) != entry
    assert list(tmp_path.iterdir()) == [root]


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for place in ("/dev/null/x", "/proc/x", tmp_path / "file"):
        with pytest.raises(OSError, match=r"build cache could not be written: .*; set XDG_CACHE"):
            build_once("thing", lambda d: None, Path(place))
        assert text_once("thing", lambda: "text", Path(place)) == "text"
        with pytest.raises(OSError, match=r"set XDG_CACHE_HOME to a folder that can$"):
            text_once("thing", lambda: "text", Path(place), required=True)


def test_text_is_made_once(tmp_path):
    texts = iter(["größer\r\n", "other"])
    for _ in range(3):
        assert text_once("thing", lambda: next(texts), tmp_path) == "größer\r\n"


def test_a_disk_that_fills_up_on_the_way(tmp_path):
    def fill(directory):
        (directory / "half").touch()
        Path("/dev/full").write_text("text")

    with pytest.raises(OSError, match=r"could not be written: No space left on device; set XDG_"):
        build_once("thing", fill, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thing.lock"]

    def foreign(directory):
        raise FileNotFoundError(2, "No such file or directory", "mine.json")

    with pytest.raises(FileNotFoundError, match=r"mine\.json"):
        build_once("thing", foreign, tmp_path)


def test_tools_get_a_cache_where_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with some_cache():
        assert os.environ["XDG_CACHE_HOME"] == str(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    with some_cache():
        there = Path(os.environ["XDG_CACHE_HOME"])
        (there / "x").touch()
    assert not there.exists() and os.environ["XDG_CACHE_HOME"] == "/dev/null/cache"


def test_no_home(monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(OSError, match="wanted a home directory or XDG_CACHE_HOME, found neither"):
        cache_root()
    assert text_once("thing", lambda: "text") == "text"


def test_a_relative_root(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "caches")
    assert cache_root() == tmp_path / "caches" / "hqdm"
