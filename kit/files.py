"""Files that are there whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; the file takes the place of `path` when the body is done.

    Folders that are missing are made. If the body or the disk fails, `path` is as it was and
    nothing is left beside it.

    Raises
    ------
    OSError: one line that names `path` and says why it could not be written.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: could not be written: it is a directory")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OSError(f"{path}: could not be written: {error.strerror or error}") from error


def write_atomically(path: Path, content: str | bytes) -> None:
    """`content` as the file `path`; text in UTF-8. Raises OSError as `replacing` does."""
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)
