"""Files of `/dev` and `/sys`: what goes wrong with them is one line that says what was wanted."""

import os
from pathlib import Path


def open_node(path: Path, what: str, flags: int = 0) -> int:
    """`path` opened for reading and writing.

    Raises
    ------
    FileNotFoundError: no such node; the text names those of its kind that are there.
    PermissionError, OSError: it may not be opened, or cannot.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | flags)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: no such {what}, {_others(path)}; see docs/linux.md"
                                ) from error
    except PermissionError as error:
        raise PermissionError(f"{path}: permission denied: wanted to read and write this {what}; "
                              f"docs/linux.md has a udev rule") from error
    except OSError as error:
        raise OSError(f"{path}: this {what} cannot be opened: {error.strerror}") from error


def _others(path: Path) -> str:
    kind = path.name.rstrip("0123456789")
    found = sorted(p.name for p in path.parent.glob(f"{kind}[0-9]*") if p.name[-1].isdigit())
    return f"found {', '.join(found)}" if found else f"nor any other {kind}"


def read_number(path: Path) -> int:
    """The number in a file of sysfs: 0x... or decimal."""
    text = _read(path)
    try:
        return int(text, 0)
    except ValueError as error:
        raise OSError(f"{path}: wanted a number, got {text!r}") from error


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except PermissionError as error:
        raise PermissionError(f"{path}: permission denied") from error
    except OSError as error:
        raise OSError(f"{path}: cannot be read ({error.strerror}); see docs/linux.md") from error
