"""Files are whole or not there, and a failure says which."""

import os
import resource
import stat
from pathlib import Path
from threading import Thread

import pytest

from hqdm.kit.files import (
    STDOUT,
    check_writable,
    is_plain,
    replacing,
    write_atomically,
    write_together,
)


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


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    link, target = tmp_path / "link", tmp_path / "folder" / "x"
    link.symlink_to("folder/x")
    for content in ("first", "second"):     # one that leads nowhere yet, one to a file
        write_atomically(link, content)
        assert os.readlink(link) == "folder/x" and target.read_text() == content
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["folder", "link", "x"]
    circle = tmp_path / "circle"
    circle.symlink_to(circle)
    with pytest.raises(OSError, match=r"circle: could not be written: Too many levels"):
        write_atomically(circle, "text")
    assert circle.is_symlink()


@pytest.mark.parametrize("mode", [0o600, 0o755, 0o664])
def test_a_file_that_is_there_keeps_its_mode(tmp_path, mode):
    (tmp_path / "x").touch()
    (tmp_path / "x").chmod(mode)
    write_atomically(tmp_path / "x", "text")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode


def test_a_name_as_long_as_the_file_system_admits(tmp_path):
    path = tmp_path / ("é" * 127)
    write_atomically(path, "text")
    assert list(tmp_path.iterdir()) == [path]


def read_from(pipe, found):
    found.append(Path(pipe).read_bytes())


@pytest.mark.parametrize("way", ["at once", "through a file"])
def test_a_pipe_is_written_through(tmp_path, way):
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    reader = Thread(target=read_from, args=(pipe, found))
    reader.start()
    if way == "at once":
        write_atomically(tmp_path / "link", "text")
    else:
        with replacing(tmp_path / "link") as temporary:
            temporary.write_text("text")
    reader.join(timeout=10)
    assert found == [b"text"] and pipe.is_fifo() and len(list(tmp_path.iterdir())) == 2
    assert not is_plain(pipe) and not is_plain(tmp_path / "link")


def test_devices_stay():
    for name in ("/dev/null", "/dev/zero"):
        before = os.stat(name)
        write_atomically(name, "text")
        assert os.stat(name).st_rdev == before.st_rdev and not is_plain(name)
        assert not list(Path("/dev").glob(".hqdm-*"))
    with pytest.raises(OSError, match=r"^/dev/full: could not be written: No space left on"):
        write_atomically("/dev/full", "text")


def test_what_is_held_open_is_written_to(tmp_path):
    """As a shell's `>> log`: what is there stays, and the file too."""
    log = tmp_path / "log"
    log.write_text("before ")
    with log.open("ab") as file:
        number = file.fileno()
        inode = log.stat().st_ino
        for name in (f"/dev/fd/{number}", f"/proc/self/fd/{number}"):
            write_atomically(name, "text ")
            assert not is_plain(name)
    assert log.read_text() == "before text text " and log.stat().st_ino == inode
    with pytest.raises(OSError, match="could not be written: "):
        write_atomically(f"/dev/fd/{number}", "closed")


def test_a_dash_is_standard_output(capfd):
    print("before")
    write_atomically(STDOUT, "größer\n")
    with replacing(STDOUT) as temporary:
        temporary.write_bytes(b"more")
    check_writable(STDOUT)
    assert capfd.readouterr().out == "before\ngrößer\nmore" and not Path("-").exists()


def test_files_of_which_one_cannot_be_written(tmp_path):
    (tmp_path / "a").write_text("old")
    for order in (("a", "b"), ("b", "a")):
        (tmp_path / "b").mkdir(exist_ok=True)
        with pytest.raises(OSError, match=r"b: could not be written: it is a directory$"):
            write_together({tmp_path / name: "new" for name in order})
        assert (tmp_path / "a").read_text() == "old" and len(list(tmp_path.iterdir())) == 2
    with pytest.raises(OSError, match=r"^/dev/full: could not be written: No space left"):
        write_together({tmp_path / "a": "new", Path("/dev/full"): "new"})
    assert (tmp_path / "a").read_text() == "old"
    write_together({tmp_path / name: name for name in ("a", "c")})
    assert [(tmp_path / name).read_text() for name in ("a", "c")] == ["a", "c"]


@pytest.fixture
def limited():
    """Files of at most 1 KB, as a disk that has no more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_on_the_way(tmp_path, limited):
    (tmp_path / "x").write_text("old")
    with pytest.raises(OSError, match=r"x: could not be written: File too large$"):
        write_atomically(tmp_path / "x", "long" * 1000)
    assert (tmp_path / "x").read_text() == "old" and list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_what_could_not_be_written_is_known_before(tmp_path):
    (tmp_path / "file").write_text("")
    for good in ("file", "new", "a/b/new"):
        check_writable(tmp_path / good)
    with pytest.raises(IsADirectoryError, match="it is a directory"):
        check_writable(tmp_path)
    with pytest.raises(OSError, match=r"file/x: could not be written: .*file is no directory$"):
        check_writable(tmp_path / "file" / "x")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_what_is_locked_against_writing(tmp_path, monkeypatch):
    """Root may write everything, so it is asked as another would be."""
    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr("os.access", lambda name, mode: False)
    for write in (check_writable, lambda name: write_atomically(name, "new")):
        with pytest.raises(OSError, match=r"file: could not be written: Permission denied$"):
            write(path)
    with pytest.raises(OSError, match=r"new: could not be written: Permission denied$"):
        check_writable(tmp_path / "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]
