"""Build products cached by content hash: generated Verilog, simulator builds, the runtime.

An entry is a folder with a list of its files' digests. It is believed when they agree, and made
again when they do not.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, EFBIG, ENOSPC, EROFS
from pathlib import Path
from unittest.mock import patch

from filelock import FileLock, Timeout

# What holds the subpackages as folders: the checkout, or `hqdm` in site-packages.
ROOT = Path(__file__).resolve().parent.parent
SEAL = "sealed.json"
LONGEST = 120       # letters of an entry's name
WORK = re.compile(r"(.+)\.[a-z0-9_]{8}")        # as tempfile.mkdtemp names what build_once makes
FULL = (EDQUOT, EFBIG, ENOSPC, EROFS)


def cache_root(override: Path | None = None) -> Path:
    """`override`, or `hqdm` in $XDG_CACHE_HOME, or ~/.cache/hqdm; absolute.

    Raises
    ------
    OSError: there is no home directory either.
    """
    if override is not None:
        return Path(override).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return ((Path(base) if base else Path.home() / ".cache") / "hqdm").absolute()
    except RuntimeError as error:
        raise OSError("build cache: wanted a home directory or XDG_CACHE_HOME, found "
                      "neither") from error


def content_hash(*parts: str | bytes) -> str:
    """16 hexadecimal digits over the parts, in order, each with its length."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode() if isinstance(part, str) else part
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()[:16]


def files_hash(paths: Iterable[Path]) -> str:
    """Hash of the names and contents of `paths`, independent of their order and place."""
    parts: list[str | bytes] = []
    for path in sorted(paths):
        parts += [path.name, path.read_bytes()]
    return content_hash(*parts)


def build_once(name: str, make: Callable[[Path], None], cache: Path | None = None) -> Path:
    """Directory `name` of the cache, filled by `make(directory)` if it is not there yet, whole.

    `make` runs at most once at a time over all processes, in a temporary directory that is
    renamed when it returns: a failed or interrupted build leaves nothing behind that a later
    call would take for a finished one. What killed builds left goes with the next build.

    Raises
    ------
    OSError: the cache cannot be written; one line that names XDG_CACHE_HOME.
    """
    root, name = cache_root(cache), _file_name(name)
    final = root / name
    if holds(final):
        return final
    with _explained(root):
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / f"{name}.lock")
        lock.acquire()
    try:
        if not holds(final):
            _remove_work(final)
            _remove_left(root)
            _build(final, make)
    finally:
        lock.release()
    return final


def text_once(name: str, make: Callable[[], str], cache: Path | None = None,
              required: bool = False) -> str:
    """The text that `make()` gives, kept in the cache as `name`.

    Where the cache cannot be written, the text is made anew, or, if `required`, as what follows
    needs the cache too, OSError is raised as `build_once` does.
    """
    made: list[str] = []

    def fill(directory: Path) -> None:
        made.append(make())
        (directory / "text").write_bytes(made[0].encode())

    try:
        directory = build_once(name, fill, cache)
        return made[0] if made else (directory / "text").read_bytes().decode()
    except OSError:
        if required:
            raise
        return made[0] if made else make()


@contextmanager
def some_cache() -> Iterator[None]:
    """XDG_CACHE_HOME is a folder for the tools that do not start without: the user's if it can be
    written, or one for this time alone."""
    try:
        base = cache_root(None).parent
        base.mkdir(parents=True, exist_ok=True)
        usable = os.access(base, os.W_OK)
    except OSError:
        usable = False
    if usable:
        yield
        return
    with tempfile.TemporaryDirectory() as folder, patch.dict(
            os.environ, {"XDG_CACHE_HOME": folder}):
        yield


def holds(entry: Path) -> bool:
    """Whether `entry` has the files that it was sealed with, to the last bit."""
    try:
        sealed = json.loads((entry / SEAL).read_bytes())["files"]
        return all(_digest(entry / name) == digest for name, digest in sealed.items())
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False


def _file_name(name: str) -> str:
    """`name`, which may have what a user calls a configuration, as the name of a folder that a
    makefile can be in."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return plain if len(plain) <= LONGEST and plain == name else (
        f"{plain[:LONGEST - 17]}-{content_hash(name)}")


@contextmanager
def _explained(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(f"{root}: the build cache could not be written: {error.strerror or error}; "
                      "set XDG_CACHE_HOME to a folder that can") from error


def _build(final: Path, make: Callable[[Path], None]) -> None:
    """Make, seal and rename; what stands in the place, and does not hold, goes."""
    with _explained(final.parent):
        work = Path(tempfile.mkdtemp(prefix=f"{final.name}.", dir=final.parent))
    try:
        try:
            make(work)
        except OSError as error:
            if error.errno in FULL:
                with _explained(final.parent):
                    raise
            raise
        with _explained(final.parent):
            seal(work)
            work.chmod(0o755)
            if final.exists():
                aside = tempfile.mkdtemp(prefix=f"{final.name}.", dir=final.parent)
                final.rename(Path(aside, "old"))
            work.rename(final)
            _synchronise(final.parent)
    finally:
        _remove_work(final)


def seal(folder: Path) -> None:
    """Write the list of digests, and all to the disk."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    sealed = {str(path.relative_to(folder)): _digest(path) for path in sorted(files)}
    seal = folder / SEAL
    seal.write_text(json.dumps({"files": sealed}), encoding="utf-8")
    for path in (*files, seal, *(p for p in folder.rglob("*") if p.is_dir()), folder):
        _synchronise(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_work(final: Path) -> None:
    """Remove what building `final` left, now or before: its lock is ours."""
    for left in final.parent.glob(f"{final.name}.*/"):
        shutil.rmtree(left, ignore_errors=True)


def _remove_left(root: Path) -> None:
    """Remove the working folders of builds whose process is gone: their locks are free."""
    for left in root.glob("*.*/"):
        match = WORK.fullmatch(left.name)
        if match is None or not (root / f"{match[1]}.lock").exists():
            continue
        with suppress(Timeout, OSError), FileLock(root / f"{match[1]}.lock", timeout=0):
            shutil.rmtree(left, ignore_errors=True)
