"""Checkpoints: safetensors whose header holds what they are and a checksum of everything.

Loading never executes code. The checksum is over the names, dtypes, shapes and bytes of the
tensors and over the header, so that a truncated, damaged or edited file is refused.
"""

import hashlib
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hqdm.kit.check import Table, check_dtype, check_tensors
from hqdm.kit.files import write_atomically
from hqdm.spec.plain import parse_object, shown

FORMAT = "hqdm-1"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Tensors with what they are.

    Members
    -------
    kind: "unet", "autoencoder", "training", ...; checked at loading.
    architecture: all that is needed to build the module, as JSON holds it.
    training: step, seed, and whatever else tells where it comes from.
    """

    kind: str
    architecture: dict[str, Any]
    tensors: dict[str, Tensor]
    training: dict[str, Any]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the header and every tensor, in hexadecimal."""
        digest = hashlib.sha256()
        header = [FORMAT, self.kind, self.architecture, self.training]
        digest.update(json.dumps(header, sort_keys=True).encode())
        for name, tensor in sorted(self.tensors.items()):
            flat = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {flat.dtype} {tuple(flat.shape)}".encode())
            if flat.numel():
                digest.update(flat.reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> str:
    """Write `checkpoint` atomically; returns its digest."""
    digest = checkpoint.digest
    header = {
        "format": FORMAT, "kind": checkpoint.kind,
        "architecture": json.dumps(checkpoint.architecture, sort_keys=True),
        "training": json.dumps(checkpoint.training, sort_keys=True), "sha256": digest}
    tensors = {name: t.detach().cpu().contiguous() for name, t in checkpoint.tensors.items()}
    write_atomically(path, _ordered(save(tensors, header)))
    return digest


def _ordered(content: bytes) -> bytes:
    """The same bytes for the same checkpoint: the order that safetensors gives what is told in its
    header changes from time to time."""
    end = 8 + int.from_bytes(content[:8], "little")
    fields = json.loads(content[8:end])
    fields["__metadata__"] = dict(sorted(fields["__metadata__"].items()))
    text = json.dumps(fields, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)     # so that the tensors are aligned
    return len(text).to_bytes(8, "little") + text + content[end:]


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header and tensors; the tensors lie in the file, which is mapped, not copied."""
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}
    except FileNotFoundError:
        raise
    # what safetensors and torch raise for a file that is none depends on where it is wrong
    except (SafetensorError, ArithmeticError, AttributeError, LookupError, OSError, RuntimeError,
            TypeError, ValueError, struct.error) as error:
        raise ValueError(f"{path}: wanted a whole safetensors file, got a truncated or damaged "
                         f"one ({' '.join(str(error).split())[:200]})") from error


def load_checkpoint(
    path: Path, kind: str | tuple[str, ...], architecture: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """Read and verify a checkpoint of `kind`, one of several or one, and, if given, of
    `architecture`.

    Raises
    ------
    FileNotFoundError: there is no such file.
    ValueError: truncated, damaged, altered, no checkpoint of ours, or of another kind or
    architecture; one line that names the file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint")
    header, tensors = _read(path)
    if header.get("format") != FORMAT:
        raise ValueError(f"{path}: wanted a checkpoint of format {FORMAT}, got "
                         f"{_said(header, 'format')}")
    kinds, got = (kind,) if isinstance(kind, str) else kind, header.get("kind", "none")
    if got not in kinds:
        raise ValueError(f"{path}: wanted a checkpoint of kind {', '.join(kinds)}, got "
                         f"{_said(header, 'kind')}")
    loaded = Checkpoint(kind=got, tensors=tensors, **{
        part: parse_object(header.get(part, ""), f"{path}: {part}")
        for part in ("architecture", "training")})
    if loaded.digest != header.get("sha256"):
        raise ValueError(f"{path}: checksum is {loaded.digest[:12]}, wanted "
                         f"{_said(header, 'sha256')[:12]}; the file was altered")
    if architecture is not None:
        _check_architecture(path, loaded.architecture, architecture)
    return loaded


def _said(header: Mapping[str, str], key: str) -> str:
    """An entry of the header, in an error."""
    return shown(header[key])[1:-1] if key in header else "none"


def load_if_whole(path: Path, kind: str, table: Table | None = None) -> Checkpoint | None:
    """What a cache keeps in `path`; None, so that it is made again, if there is no such file, it
    is not as it was written, or has not the tensors of `table`."""
    try:
        read = load_checkpoint(path, kind)
        if table is not None:
            check_tensors(str(path), read.tensors, table)
        return read
    except (FileNotFoundError, ValueError):
        return None


def _check_architecture(path: Path, got: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for key in sorted(set(got) | set(wanted)):
        if got.get(key) != wanted.get(key):
            raise ValueError(f"{path}: another architecture: wanted {key} {wanted.get(key)}, "
                             f"got {shown(got.get(key))}")


def load_state(module: torch.nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Copy `tensors` into `module`; ValueError as of `check_state`."""
    check_state(module, tensors, where)
    state = module.state_dict()
    module.load_state_dict({n: t.to(state[n].dtype) for n, t in tensors.items()})


def check_state(module: torch.nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Whether `tensors` are those of `module`: floating numbers of any width, all else of its own
    dtype.

    Raises
    ------
    ValueError: names the first that is missing, misshapen, of another kind or not finite.
    """
    state = module.state_dict()
    for name in sorted(set(state) | set(tensors)):
        wanted = tuple(state[name].shape) if name in state else "no such tensor"
        got = tuple(tensors[name].shape) if name in tensors else "no such tensor"
        if wanted != got:
            raise ValueError(f"{where}: another architecture: {shown(name)[1:-1]}: wanted "
                             f"{wanted}, got {got}")
        _check_values(f"{where}: {name}", tensors[name], state[name].dtype)


M = TypeVar("M", bound=torch.nn.Module)


def module_of(make: Callable[[], M], tensors: Mapping[str, Tensor], where: str) -> M:
    """The module that `make` makes, with `tensors` in it.

    It is made without numbers first and compared, so that a file whose header asks for more than
    its tensors are takes no memory.

    Raises
    ------
    ValueError: tensors that are not the module's, or a module that cannot be made.
    """
    with one_line(f"{where}: another architecture"):
        with torch.device("meta"):
            skeleton = make()
    check_state(skeleton, tensors, where)
    module = make()
    load_state(module, tensors, where)
    return module


@contextmanager
def one_line(where: str) -> Iterator[None]:
    """ValueError of one line for whatever a library raises where it is given what a file says."""
    try:
        yield
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError,
            ValueError) as error:
        raise ValueError(f"{where}: {' '.join(str(error).split())[:200]}") from error


def _check_values(name: str, values: Tensor, dtype: torch.dtype) -> None:
    """ValueError unless these can be numbers of `dtype`."""
    if not (dtype.is_floating_point and values.is_floating_point()):
        try:
            check_dtype(name, values, dtype)
        except TypeError as error:
            raise ValueError(str(error)) from error
    elif not bool(values.to(dtype).isfinite().all()):
        raise ValueError(f"{name}: wanted finite numbers, got NaN or infinity")
