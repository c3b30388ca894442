"""Temporary files beside those that they will replace, and the end of those left behind."""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def fresh(target: Path) -> Iterator[Path]:
    """A new empty file in the folder of `target`, removed at the end if it is still there.

    It is locked as long as this process lives, so that the next to write `target` can tell it
    from one that a killed process left, and removes only that. Its name does not grow with
    the target's, which may have all the letters that the file system admits.
    """
    mark = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:8]
    _remove_left(target.parent, mark)
    temporary, descriptor = _locked(target.parent, mark)
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(folder: Path, mark: str) -> tuple[Path, int]:
    while True:
        temporary = folder / f".hqdm-{mark}-{secrets.token_hex(4)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with suppress(OSError):     # a file system without locks: nothing is taken for left
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if temporary.exists():      # nobody took it for left before it was locked
            return temporary, descriptor
        os.close(descriptor)


def _remove_left(folder: Path, mark: str) -> None:
    for left in folder.glob(f".hqdm-{mark}-*"):
        with suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left.unlink()
