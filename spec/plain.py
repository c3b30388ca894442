"""A network as plain data and back: what is not its default, in the order of declaration."""

from dataclasses import MISSING, fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Dataclasses as objects without the fields that have their default, tuples as lists."""
    if is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)
                if f.default is MISSING or getattr(value, f.name) != f.default}
    return [to_plain(v) for v in value] if isinstance(value, tuple) else value


def from_plain(kind: type[T], plain: Any) -> T:
    """The frozen dataclass `kind` of what `to_plain`, or `asdict`, made, as JSON holds it."""
    return _decode(kind, plain)


def _decode(kind: Any, plain: Any) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: _decode(hints[name], v) for name, v in plain.items()})
    if get_origin(kind) is tuple:
        return tuple(_decode(get_args(kind)[0], v) for v in plain)
    if isinstance(kind, UnionType) and plain is not None:
        return _decode(get_args(kind)[0], plain)
    return plain
