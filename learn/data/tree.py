"""Files of a folder or of a tar archive, by path."""

import lzma
import struct
import tarfile
import zlib
from pathlib import Path

ARCHIVES = (".tgz", ".tar.gz", ".tar")
MAX_BYTES = 1 << 30     # of all files of an archive: CIFAR-10 has 186 million


class Tree:
    """The files below a folder; paths are split by "/"."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def files(self) -> dict[str, bytes | None]:
        """Path of each file; None where `read` must be asked for the contents."""
        return {p.relative_to(self.root).as_posix(): None
                for p in sorted(self.root.rglob("*")) if p.is_file()}

    def read(self, name: str) -> bytes:
        """Contents of the file `name`."""
        return (self.root / name).read_bytes()

    def stamps(self) -> list[str]:
        """Text that changes when a file does."""
        found = [(n, (self.root / n).stat()) for n in self.files()]
        return [str(self.root.resolve())] + [f"{n} {s.st_size} {s.st_mtime_ns}" for n, s in found]


class Archive(Tree):
    """The files of a tar archive, unpacked in memory when first asked for."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._files: dict[str, bytes | None] | None = None

    def files(self) -> dict[str, bytes | None]:
        if self._files is None:
            self._files = self._unpack()
        return self._files

    def _unpack(self) -> dict[str, bytes | None]:
        files: dict[str, bytes | None] = {}
        room = MAX_BYTES
        try:
            with tarfile.open(self.root) as archive:
                for member in archive:
                    room -= member.size
                    if room < 0:
                        raise ValueError(f"one of more than {MAX_BYTES} bytes")
                    content = archive.extractfile(member) if member.isfile() else None
                    if content is not None:
                        files[member.name] = content.read()
        # what tarfile and the decompressors raise depends on where a file is wrong
        except (ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError,
                RecursionError, TypeError, ValueError, lzma.LZMAError, struct.error,
                tarfile.TarError, zlib.error) as error:
            raise ValueError(f"{self.root}: wanted a tar archive, got "
                             f"{' '.join(str(error).split())[:200]}") from error
        return files

    def read(self, name: str) -> bytes:
        content = self.files()[name]
        assert content is not None
        return content

    def stamps(self) -> list[str]:
        stat = self.root.stat()
        return [f"{self.root.resolve()} {stat.st_size} {stat.st_mtime_ns}"]


def is_archive(path: Path) -> bool:
    """Whether the name is that of a tar archive."""
    return path.name.endswith(ARCHIVES)


def open_tree(path: Path) -> Tree:
    """The folder or archive at `path`; a folder of nothing but one archive is that archive.

    Raises
    ------
    ValueError: a file that is no tar archive.
    """
    if path.is_file():
        if not is_archive(path):
            raise ValueError(f"{path}: wanted a folder or a tar archive, got another file")
        return Archive(path)
    inside = [p for p in path.iterdir() if not p.name.startswith(".")]
    if len(inside) == 1 and inside[0].is_file() and is_archive(inside[0]):
        return Archive(inside[0])
    return Tree(path)
