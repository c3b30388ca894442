"""Files that are there whole or not at all; what is no plain file is written through."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from stat import S_IMODE, S_ISREG
from tempfile import TemporaryDirectory

from hqdm.kit.beside import fresh

STDOUT = Path("-")      # the name under which every command takes standard output
MAX_LINKS = 40          # as many as the kernel follows
Content = str | bytes


class NotWritten(OSError):
    """A file could not be written: one line that names it and says why."""


def is_plain(path: Path) -> bool:
    """Whether `path` names a plain file, or one to be: no device, pipe, socket or STDOUT.

    Links are followed. /dev/stdout and its like are what this process holds open, not the file
    behind it: replacing that would lose what a shell has put there.
    """
    if _descriptor(path) is not None:
        return False
    try:
        return S_ISREG(os.stat(path).st_mode)
    except OSError:     # no such file yet, or none that can be: writing says why
        return True


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; the file takes the place of `path` when the body is done.

    Folders that are missing are made. If the body or the disk fails, `path` is as it was and
    nothing is left beside it; what a killed process left there goes with the next write. A file
    that is there keeps its mode, a new one has that of any new file. Where `path` is a link, what
    it points to is replaced. Where it is a device, a pipe or STDOUT, the content is written into
    it at the end of the body.

    Raises
    ------
    OSError: one line that names `path` and says why it could not be written.
    """
    path = Path(path)
    _refuse_folder(path)
    with _named(path), _beside(path) if is_plain(path) else _poured(path) as temporary:
        yield temporary


def write_atomically(path: Path, content: Content) -> None:
    """`content` as the file `path`; text in UTF-8. Raises OSError as `replacing` does."""
    write_together({path: content})


def write_together(contents: Mapping[Path, Content]) -> None:
    """Every file of `contents`; none is replaced before all are written.

    Raises OSError as `replacing` does.
    """
    if not contents:
        return
    (path, content), *others = contents.items()
    encoded = content.encode() if isinstance(content, str) else content
    _refuse_folder(Path(path))
    if not is_plain(path):
        write_together(dict(others))
        with _named(path):
            _pour(Path(path), encoded)
        return
    with replacing(path) as temporary:
        temporary.write_bytes(encoded)
        write_together(dict(others))


def check_writable(path: Path) -> None:
    """Refuse, before the work, what could not be written after it; writes nothing.

    Raises OSError as `replacing` does.
    """
    path = Path(path)
    _refuse_folder(path)
    if _descriptor(path) is not None:
        return
    with _named(path):
        target = Path(os.path.realpath(path))
        folder = next(p for p in target.parents if p.exists())
        if not folder.is_dir():
            raise NotADirectoryError(20, f"{folder} is no directory")
        if not os.access(target if target.exists() else folder, os.W_OK):
            raise PermissionError(13, os.strerror(13))


def _refuse_folder(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(f"{path}: could not be written: it is a directory")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of the system as one line that names `path`."""
    name = "standard output" if path == STDOUT else str(path)
    try:
        yield
    except NotWritten:      # of another file, written within
        raise
    except OSError as error:
        if path == STDOUT and isinstance(error, BrokenPipeError):
            raise
        raise NotWritten(f"{name}: could not be written: {error.strerror or error}") from error


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        before = os.stat(path)
    except FileNotFoundError:
        before = None
    if before is not None and not os.access(target, os.W_OK):
        raise PermissionError(13, os.strerror(13))
    with fresh(target) as temporary:
        yield temporary
        if before is not None:
            temporary.chmod(S_IMODE(before.st_mode))
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)


@contextmanager
def _poured(path: Path) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        temporary = Path(folder, "content")
        yield temporary
        _pour(path, temporary.read_bytes())


def _pour(path: Path, content: bytes) -> None:
    """Write into what is there, as it is."""
    descriptor = _descriptor(path)
    if descriptor is None:
        opened = os.open(path, os.O_WRONLY | os.O_NOCTTY)
    else:
        if sys.stdout is None:      # closed by the shell: another file may have its number
            raise OSError(9, os.strerror(9))
        sys.stdout.flush()
        opened = os.dup(descriptor)
    with open(opened, "wb") as file:
        file.write(content)


def _descriptor(path: Path) -> int | None:
    """The open file of this process that `path` names: STDOUT, /dev/stdout, /dev/fd/63."""
    path = Path(path)
    if path == STDOUT:
        return 1
    held = f"/proc/{os.getpid()}/fd"
    for _ in range(MAX_LINKS):
        if path.name.isdecimal() and os.path.realpath(path.parent) == held:
            return int(path.name)
        if not path.is_symlink():
            return None
        path = path.parent / os.readlink(path)
    return None
