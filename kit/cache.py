"""Build products cached by content hash: generated Verilog, simulator builds, the runtime."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from filelock import FileLock

# What holds the subpackages as folders: the checkout, or `hqdm` in site-packages.
ROOT = Path(__file__).resolve().parent.parent


def cache_root(override: Path | None = None) -> Path:
    """`override`, or `hqdm` in $XDG_CACHE_HOME, or ~/.cache/hqdm."""
    if override is not None:
        return Path(override)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hqdm"


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
    """Directory `name` of the cache, filled by `make(directory)` if it is not there yet.

    `make` runs at most once at a time over all processes, in a temporary directory that is
    renamed when it returns: a failed or interrupted build leaves nothing behind that a later
    call would take for a finished one.
    """
    root = cache_root(cache)
    final = root / name
    if final.is_dir():
        return final
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f"{name}.lock"):
        if final.is_dir():
            return final
        for left in root.glob(f"{name}.*/"):    # of builds that were killed: the lock is ours
            shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=root))
        try:
            make(work)
            work.chmod(0o755)
            work.rename(final)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return final
