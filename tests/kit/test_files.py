"""Files are whole or not there, and a failure says which."""

import os
import stat

import pytest

from hqdm.kit.files import replacing, write_atomically


@pytest.mark.parametrize(("content", "there"), [
    ("größer\n", "größer\n".encode()), (b"\0\r\n", b"\0\r\n")])
def test_content_and_folders(tmp_path, content, there):
    path = tmp_path / "a" / "b" / "x"
    for _ in range(2):
        write_atomically(path, content)
        assert path.read_bytes() == there and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_mode_is_that_of_any_new_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "x", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o666 & ~mask


def test_synchronised_before_it_is_renamed(tmp_path, monkeypatch):
    done, real = [], os.replace
    monkeypatch.setattr("os.fsync", lambda descriptor: done.append("fsync"))
    monkeypatch.setattr("os.replace", lambda *names: (done.append("rename"), real(*names)))
    write_atomically(tmp_path / "x", "text")
    assert done == ["fsync", "rename"] and (tmp_path / "x").read_text() == "text"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_body_that_fails_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "x"
    path.write_text("old")
    with pytest.raises(error), replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"x: could not be written: No space left on device$"):
        write_atomically(tmp_path / "x", "text")
    assert not list(tmp_path.iterdir())


def test_no_place_for_the_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(IsADirectoryError, match=r"could not be written: it is a directory$"):
        write_atomically(tmp_path, "text")
    with pytest.raises(OSError, match=r"file/x: could not be written: (Not a dir|File ex)"):
        write_atomically(tmp_path / "file" / "x", "text")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
