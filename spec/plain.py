"""Dataclasses as plain data and back: what is not its default, in the order of declaration.

What a file says is read here alone: the type hints of a dataclass are the table of its fields, and
nothing of another name or type gets past `from_plain`.
"""

import json
import math
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
LARGEST = (1 << 64) - 1     # magnitude of an integer of any file


def to_plain(value: Any) -> Any:
    """Dataclasses as objects without the fields that have their default, tuples as lists."""
    if is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)
                if f.default is MISSING or getattr(value, f.name) != f.default}
    return [to_plain(v) for v in value] if isinstance(value, tuple) else value


def from_plain(kind: type[T], plain: Any, where: str = "") -> T:
    """The frozen dataclass `kind` of what `to_plain`, or `asdict`, made, as JSON holds it.

    Parameters
    ----------
    where: what the data is, in front of every error; it ends with ": ".

    Raises
    ------
    ValueError: a field that is missing, unknown or of another type than its hint, or what the
        dataclass itself refuses.
    """
    try:
        return _decode(kind, plain, where)
    except (ValueError, TypeError) as error:
        if str(error).startswith(where):
            raise
        raise ValueError(f"{where}{error}") from error      # of the dataclass itself


def parse_object(text: str | bytes, where: str) -> dict[str, Any]:
    """The object that the JSON `text` of `where` holds.

    Raises
    ------
    ValueError: no JSON, NaN or infinity, nested too deeply, or not an object; one line that
        begins with `where`.
    """
    plain = parse_json(text, where)
    if not isinstance(plain, dict):
        raise ValueError(f"{where}: wanted a JSON object, got {shown(plain)}")
    return plain


def parse_json(text: str | bytes, where: str) -> Any:
    """As `parse_object`, of any JSON value."""
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError(f"{where}: wanted JSON, got brackets nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"{where}: wanted JSON, got {error}") from error


def shown(value: Any) -> str:
    """A value in an error: its start, on one line."""
    try:
        text = " ".join(repr(value).split())
    except (RecursionError, ValueError):    # nested deeply; an integer of too many digits
        text = type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is no number of JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _no_number(digits[:20])


def _decode(kind: Any, plain: Any, where: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind, plain, where)
    if origin in (Union, UnionType):
        return _one_of(arguments, plain, where)
    if origin is tuple and isinstance(plain, list | tuple):
        return tuple(_decode(arguments[0], v, f"{where}[{i}]") for i, v in enumerate(plain))
    if origin is Literal:
        if type(plain) is not str or plain not in arguments:
            _refuse(where, f"one of {', '.join(map(str, arguments))}", plain)
        return plain
    if kind is float and type(plain) is int:
        return float(_decode(int, plain, where))
    if kind is not Any and (type(plain) is not (origin or kind) or _absurd(plain)):
        _refuse(where, _NAMES.get(origin or kind, str(kind)), plain)
    return plain


_NAMES: dict[Any, str] = {int: "an integer", str: "a text", bool: "true or false",
                          float: "a number", dict: "an object", tuple: "a list", NoneType: "none"}


def _absurd(plain: Any) -> bool:
    return (type(plain) is int and abs(plain) > LARGEST) or (
        type(plain) is float and not math.isfinite(plain))


def _refuse(where: str, wanted: str, plain: Any) -> NoReturn:
    raise ValueError(f"{where.removesuffix(': ') or 'data'}: wanted {wanted}, got {shown(plain)}")


def _one_of(kinds: tuple[Any, ...], plain: Any, where: str) -> Any:
    """As the first of `kinds` that it is; the first that is not None says what is wrong."""
    if plain is None and NoneType in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not NoneType)
    for kind in kinds[1:]:
        try:
            return _decode(kind, plain, where)
        except ValueError:
            continue
    return _decode(kinds[0], plain, where)


@cache
def _table(kind: Any) -> dict[str, tuple[Any, bool]]:
    """Type and whether it must be there, of each field of a dataclass."""
    hints = get_type_hints(kind)
    return {f.name: (hints[f.name], f.default is MISSING and f.default_factory is MISSING)
            for f in fields(kind)}


def _dataclass(kind: Any, plain: Any, where: str) -> Any:
    table, names = _table(kind), ", ".join(_table(kind))
    if not isinstance(plain, dict):
        _refuse(where, f"an object of {names}", plain)
    below = f"{where}." if where and not where.endswith(": ") else where
    for name in plain:
        if name not in table:
            raise ValueError(f"{below}{shown(name)}: wanted one of {names}")
    for name, (_, needed) in table.items():
        if needed and name not in plain:
            raise ValueError(f"{below}{name}: wanted an object of {names}, got none of that name")
    return kind(**{n: _decode(table[n][0], v, f"{below}{n}") for n, v in plain.items()})
