"""Configurations by name or from a JSON file."""

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from hqdm.spec import PRESETS, Config
from hqdm.spec.plain import parse_json, shown


def read_config(config: str) -> Config:
    """The preset called `config`, or the configuration of the JSON file of that name.

    Raises
    ------
    ValueError: neither a preset nor a file, other fields than those of `Config`, or a value
        outside its range.
    """
    if config in PRESETS:
        return PRESETS[config]
    path = Path(config)
    if not path.is_file():
        raise ValueError(f"configuration: wanted one of {', '.join(PRESETS)} or a JSON file, got "
                         f"{config!r}")
    plain = parse_json(path.read_bytes(), str(path))
    needed = {f.name for f in fields(Config) if f.default is MISSING} - {"name"}
    known = [f.name for f in fields(Config)]
    if not isinstance(plain, dict) or not needed <= set(plain) <= set(known):
        got = type(plain).__name__ if not isinstance(plain, dict) else ", ".join(
            shown(name)[1:-1] for name in plain)
        raise ValueError(f"{path}: wanted an object of {', '.join(known)} (at least "
                         f"{', '.join(sorted(needed))}), got {got or 'none'}")
    for name, value in plain.items():
        kind = str if name in ("name", "cell") else int
        if type(value) is not kind:
            raise ValueError(f"{path}: wanted {name} of type {kind.__name__}, got {shown(value)}")
    values: dict[str, Any] = {"name": path.stem} | plain
    return Config(**values)
